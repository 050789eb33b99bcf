// From nothing to enrolled, and from one certificate to the next: the steps that Windows takes, in its order.
#include "core/random.hpp"
#include "core/text.hpp"
#include "core/time.hpp"
#include "csr.hpp"
#include "device_impl.hpp"
#include "json_read.hpp"
#include "terms_client.hpp"

namespace mdmd::sim {
namespace json = boost::json;
namespace {

constexpr std::uint32_t connectivity = 0x80180010;

enroll_failure failed(char const* step, std::string text, std::uint32_t hresult = 0) {
    enroll_failure f;
    f.step = step;
    f.text = std::move(text);
    f.hresult = hresult;
    return f;
}

std::string message_id() { return "urn:uuid:" + new_guid(); }

// One enrollment or renewal in progress. Every function returns false once `report.failure` is set.
class enrollment {
public:
    enrollment(device::impl& d, join_report& r, network const& net, bool with_certificate)
        : report(r), d_(d), client_(d.make_client(net, with_certificate)), net_(net) {}

    bool fails(enroll_failure f) {
        if (!report.failure) report.failure = std::move(f);
        return false;
    }
    void did(char const* step) { report.steps.emplace_back(step); }

    http::transport transport() {
        return [this](http::call const& c) {
            auto timed = c;
            timed.timeout = net_.timeout;
            return client_.send(timed);
        };
    }

    std::optional<http::response> post(char const* step, std::string const& url, std::string body) {
        http::call c{.method = "POST",
            .url = url,
            .headers = {{"Content-Type", "application/soap+xml; charset=utf-8"}, {"Cache-Control", "no-cache"},
                {"User-Agent", "ENROLLClient"}},
            .body = std::move(body),
            .timeout = net_.timeout};
        auto r = client_.send(c);
        if (r) return std::move(*r);
        fails(failed(step, r.error().detail, connectivity));
        return std::nullopt;
    }

    bool discover(std::string const& url, std::string const& email, std::string const& request_version,
        std::string const& edition, std::vector<std::string> const& offered) {
        auto const probe = client_.send({.method = "GET",
            .url = url,
            .headers = {{"Cache-Control", "no-cache"}, {"Pragma", "no-cache"}, {"User-Agent", "ENROLLClient"}},
            .body = {},
            .timeout = net_.timeout});
        if (!probe) return fails(failed("probe", probe.error().detail, connectivity));
        if (probe->status != 200)
            return fails(failed("probe", fmt::format("HTTP status {}", probe->status), connectivity));
        did("probe");
        auto const id = message_id();
        auto const r =
            post("discovery", url, discover_request(id, url, email, request_version, d_.os_version, edition, offered));
        if (!r) return false;
        auto a = read_discovery(*r, id, request_version, offered);
        if (!a.value) return fails(named(std::move(a.failure), "discovery"));
        found = std::move(*a.value);
        did("discovery");
        return true;
    }

    bool ask_policy(std::string const& credential) {
        auto const id = message_id();
        auto const r = post("policy", found.policy_url, policies_request(id, found.policy_url, credential));
        if (!r) return false;
        auto a = read_policies(*r, id);
        if (!a.value) return fails(named(std::move(a.failure), "policy"));
        policy = std::move(*a.value);
        did("policy");
        return true;
    }

    // The provisioning document for a PKCS#10, or for a PKCS#7 around one.
    std::optional<std::string> ask_certificate(
        std::string const& credential, std::string const& token, context_items const& items, bool renew) {
        auto const id = message_id();
        auto const r = post("enrollment", found.enrollment_url,
            token_request(id, found.enrollment_url, credential, token, items, renew));
        if (!r) return std::nullopt;
        auto a = read_token_response(*r, id);
        if (!a.value) {
            fails(named(std::move(a.failure), "enrollment"));
            return std::nullopt;
        }
        did(renew ? "renewal" : "enrollment");
        return std::move(a.value);
    }

    bool check(provisioning_result const& p) {
        if (p.failures.empty()) return true;
        std::string all;
        for (auto const& f : p.failures) all += (all.empty() ? "" : "; ") + f.text;
        return fails(failed("provisioning", all, p.failures.front().hresult));
    }

    static enroll_failure named(enroll_failure f, char const* step) {
        f.step = step;
        return f;
    }

    join_report& report;
    discovered found;
    certificate_policy policy;

private:
    device::impl& d_;
    http::client client_;
    network net_;
};

context_items context_of(device::impl const& d, join_options const& o, std::string const& blob) {
    context_items items{{"UXInitiated", "true"}, {"HWDevID", d.hardware_id}, {"Locale", "en-US"},
        {"TargetedUserLoggedIn", "true"}, {"OSEdition", o.os_edition}, {"DeviceName", d.name},
        {"MAC", "00-0C-29-51-60-9D"}, {"MAC", "1A-77-20-52-41-53"}, {"MAC", "1A-77-20-52-41-53"},
        {"DeviceID", d.device_id}, {"EnrollmentType", o.corporate ? "Device" : "Full"},
        {"DeviceType", "CIMClient_Windows"}, {"OSVersion", d.os_version}, {"ApplicationVersion", d.os_version},
        {"NotInOobe", o.first_run ? "false" : "true"}, {"RequestVersion", o.request_version}};
    if (auto const& data = o.enrollment_data; data || !blob.empty())
        items.emplace_back("EnrollmentData", data.value_or(blob));
    for (auto const& [name, value] : o.more_context) {
        if (value.empty())
            std::erase_if(items, [&](auto const& i) { return i.first == name; });
        else
            items.emplace_back(name, value);
    }
    return items;
}

}  // namespace

join_report device::join(join_options const& o) {
    auto& d = *impl_;
    join_report report;
    if (d.state == "enrolled") {
        report.failure = failed("register", "this device is enrolled already", 0x8018000A);
        return report;
    }
    d.name = o.name;
    d.os_version = o.os_version;
    d.corporate = o.corporate;
    d.user = o.user;
    d.entra = o.password.empty();
    d.discovery_url = o.discovery_url;
    d.entra_device_id.clear();
    report.device_id = d.device_id;
    enrollment e(d, report, o.net, false);
    std::optional<control_client> tenant;
    if (o.tenant) tenant.emplace(*o.tenant);

    auto const token = [&]() -> std::optional<std::string> {
        if (!tenant) return o.user_token;
        json::object order{{"kind", "user"}, {"upn", o.user}, {"version", o.token_version}, {"claims", o.token_claims}};
        if (!d.entra_device_id.empty()) order["device_id"] = d.entra_device_id;
        auto const r = tenant->send("POST", "/sim/token", order);
        if (r) return text_or(*r, "access_token");
        e.fails(failed("token", r.error().detail));
        return std::nullopt;
    };
    auto const registration_undone = [&] {
        if (tenant && !d.entra_device_id.empty()) {
            // Whether that works changes nothing for the failure that is reported.
            auto const ignored = tenant->send("DELETE", "/sim/devices/" + d.entra_device_id);
            d.entra_device_id.clear();
        }
        d.save();
        return report;
    };

    std::string blob;
    if (d.entra && !o.terms_url.empty()) {
        auto const jwt = token();
        if (!jwt) return report;
        auto const visit = visit_terms({.url = o.terms_url,
                                           .jwt = *jwt,
                                           .corporate = o.corporate,
                                           .accept = o.accept_terms,
                                           .first_run = o.first_run,
                                           .client_request_id = new_guid(),
                                           .os_version = o.os_version,
                                           .pin = o.pin},
            e.transport());
        if (!visit.failure.text.empty()) {
            report.failure = visit.failure;
            return registration_undone();
        }
        e.did("terms");
        if (!visit.accepted) {
            report.failure = failed("terms", "rejectedTermsOfUse: the user declined");
            return registration_undone();
        }
        blob = visit.blob;
    }
    if (tenant) {
        auto const r = tenant->send("POST", "/sim/devices",
            {{"upn", o.user}, {"name", o.name}, {"trust", o.corporate ? "joined" : "workplace"},
                {"os_version", o.os_version}});
        if (!r) {
            report.failure = failed("register", r.error().detail);
            return report;
        }
        d.entra_device_id = text_or(*r, "device_id");
        report.entra_device_id = d.entra_device_id;
        e.did("register");
    }
    std::string credential;
    if (d.entra) {
        auto const jwt = token();
        if (!jwt) return registration_undone();
        credential = jwt_credential(*jwt);
    } else {
        credential = username_credential(o.user, o.password);
    }
    if (!e.discover(o.discovery_url, o.user, o.request_version, o.os_edition, {"OnPremise", "Federated"}) ||
        !e.ask_policy(credential))
        return registration_undone();

    auto const key = private_key::rsa(static_cast<unsigned>(std::max(2048, e.policy.minimal_key_length)));
    auto const request = make_request(key, hex_upper(random_bytes(15)), d.device_id);
    auto const document = e.ask_certificate(credential, request, context_of(d, o, blob), false);
    if (!document) return registration_undone();
    auto const p = read_provisioning(*document, {.device_store = o.corporate,
                                                    .public_key_der = key.public_der(),
                                                    .known_root = std::nullopt,
                                                    .known_issuing = std::nullopt});
    if (!e.check(p)) return registration_undone();
    d.provision(p.what, key);
    d.state = "enrolled";
    d.last_session = 0;
    d.save();
    e.did("provisioning");
    report.thumbprint = d.own->thumbprint();
    report.management_url = d.management_url;
    return report;
}

join_report device::renew(network const& net) {
    auto& d = *impl_;
    join_report report;
    report.device_id = d.device_id;
    report.entra_device_id = d.entra_device_id;
    if (d.state != "enrolled") {
        report.failure = failed("renewal", "this device is not enrolled", 0x8018000B);
        return report;
    }
    enrollment e(d, report, net, true);
    // What Windows sends is a user name and an empty password: no attempt to authenticate.
    auto const credential = username_credential(d.user, "");
    if (!e.discover(d.discovery_url, d.user, "4.0", "4", {"OnPremise", "Federated"}) || !e.ask_policy(credential))
        return report;
    auto const key = private_key::rsa(static_cast<unsigned>(std::max(2048, e.policy.minimal_key_length)));
    auto const request = cms_sign(make_request(key, hex_upper(random_bytes(15)), d.device_id), {*d.own, *d.key});
    context_items const items{{"DeviceType", "CIMClient_Windows"}, {"ApplicationVersion", d.os_version},
        {"DeviceID", d.device_id}, {"EnrollmentType", d.corporate ? "Device" : "Full"}, {"OSVersion", d.os_version}};
    auto const document = e.ask_certificate(credential, request, items, true);
    if (!document) return report;
    auto const p = read_provisioning(*document, {.device_store = d.corporate,
                                                    .public_key_der = key.public_der(),
                                                    .renewal = true,
                                                    .known_root = d.root,
                                                    .known_issuing = d.issuing});
    auto subject_kept = p;
    if (p.what.own && p.what.own->subject() != d.own->subject())
        subject_kept.failures.push_back(
            {0x80180024, "the new certificate's subject is another: the search criteria do not find it"});
    if (!e.check(subject_kept)) return report;
    d.key = key;
    d.own = p.what.own;
    d.issuing = p.what.issuing;
    d.tree.set("./Device/Vendor/MSFT/CertificateStore/My/WSTEP/CertThumprint", {"chr", d.own->thumbprint(), "G"});
    d.tree.set(d.provider_node("CertRenewTimeStamp"), {"chr", rfc3339(system_clock().now()), "G"});
    d.save();
    report.thumbprint = d.own->thumbprint();
    report.management_url = d.management_url;
    return report;
}

}  // namespace mdmd::sim
