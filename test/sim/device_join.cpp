// From nothing to enrolled, and from one certificate to the next: the steps that Windows takes, in its order.
#include "core/random.hpp"
#include "core/text.hpp"
#include "core/time.hpp"
#include "csr.hpp"
#include "device_impl.hpp"
#include "json_read.hpp"
#include "sign_in_client.hpp"
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

std::string message_id(oddities const& odd) {
    if (odd.constant_message_ids) return "urn:uuid:748132ec-a575-4329-b01b-6171a9cf8478";
    return (odd.spaced_message_ids ? "urn:uuid: " : "urn:uuid:") + new_guid();
}

// ASCII in two bytes each, as text from a web page may be kept.
std::string utf16le(std::string_view ascii) {
    std::string wide;
    for (char const c : ascii) (wide += c) += '\0';
    return wide;
}

// One enrollment or renewal in progress. Every function returns false once `report.failure` is set.
class enrollment {
public:
    enrollment(device::impl& d, join_report& r, network const& net, oddities const& odd,
        std::optional<identity> const& shown = std::nullopt)
        : report(r), d_(d), client_(d.make_client(net, shown)), net_(net), odd_(odd) {}

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
            .url = with_query(url),
            .headers = {{"Content-Type", "application/soap+xml; charset=utf-8"}, {"Cache-Control", "no-cache"},
                {"User-Agent", odd_.user_agent}},
            .body = written_oddly(std::move(body), odd_),
            .timeout = net_.timeout};
        auto r = client_.send(c);
        if (r) return std::move(*r);
        fails(failed(step, r.error().detail, connectivity));
        return std::nullopt;
    }

    bool discover(std::string const& url, std::string const& email, std::string const& request_version,
        std::string const& edition, std::vector<std::string> const& offered) {
        auto const probe = client_.send({.method = "GET",
            .url = with_query(url),
            .headers = {{"Cache-Control", "no-cache"}, {"Pragma", "no-cache"}, {"User-Agent", odd_.user_agent}},
            .body = {},
            .timeout = net_.timeout});
        if (!probe) return fails(failed("probe", probe.error().detail, connectivity));
        if (probe->status != 200)
            return fails(failed("probe", fmt::format("HTTP status {}", probe->status), connectivity));
        did("probe");
        auto const id = message_id(odd_);
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
        auto const id = message_id(odd_);
        auto const r = post("policy", found.policy_url, policies_request(id, found.policy_url, credential));
        if (!r) return false;
        auto a = read_policies(*r, id);
        if (!a.value) return fails(named(std::move(a.failure), "policy"));
        policy = std::move(*a.value);
        did("policy");
        return true;
    }

    // What the server's sign-in page gives the user. These roots are trusted besides, for the pages it leads to.
    std::optional<std::string> sign_in(std::string const& user, std::string const& more_roots_pem) {
        if (found.authentication_url.empty()) {
            fails(failed("sign-in", "the server names no sign-in page", 0x8018000F));
            return std::nullopt;
        }
        auto both = net_;
        both.server_ca_pem += more_roots_pem;
        auto browser = d_.make_client(both, std::nullopt);
        auto visit = visit_sign_in(
            {.url = found.authentication_url, .user = user}, [&](http::call const& c) { return browser.send(c); });
        if (!visit.failure.text.empty()) {
            fails(std::move(visit.failure));
            return std::nullopt;
        }
        did("sign-in");
        return std::move(visit.token);
    }

    // The provisioning document for a PKCS#10, or for a PKCS#7 around one.
    std::optional<std::string> ask_certificate(std::string const& credential, std::string const& token,
        context_items const& items, token_form form, bool lose_reply = false) {
        auto const id = message_id(odd_);
        auto const r = post("enrollment", found.enrollment_url,
            token_request(id, found.enrollment_url, credential, token, items, form));
        if (!r) return std::nullopt;
        if (lose_reply) {
            fails(failed("enrollment", "the answer was lost", connectivity));
            return std::nullopt;
        }
        auto a = read_token_response(*r, id);
        if (!a.value) {
            fails(named(std::move(a.failure), "enrollment"));
            return std::nullopt;
        }
        did(form == token_form::pkcs10 ? "enrollment" : "renewal");
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
    std::string with_query(std::string const& url) const {
        if (odd_.query.empty()) return url;
        return url + (url.find('?') == url.npos ? odd_.query : "&" + odd_.query.substr(1));
    }

    device::impl& d_;
    http::client client_;
    network net_;
    oddities odd_;
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
    if (o.odd.required_items_only)
        std::erase_if(items, [](auto const& i) {
            constexpr std::string_view needed[] = {
                "DeviceID", "EnrollmentType", "DeviceType", "OSVersion", "EnrollmentData"};
            return std::find(std::begin(needed), std::end(needed), i.first) == std::end(needed);
        });
    if (o.odd.repeated_items)
        items.insert(items.end(), {{"MAC", "FF:FF:00:11:22:33"}, {"MAC", "FF:FF:00:11:22:33"},
                                      {"IMEI", "490154203237518"}, {"IMEI", "490154203237518"}});
    if (o.odd.unknown_items)
        items.insert(items.begin(), {{"SomethingOfTomorrow", "<&\"'>"}, {"Empty", ""}, {"Empty", ""}});
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
    d.entra = o.password.empty() && !o.federated;
    d.discovery_url = o.discovery_url;
    d.entra_device_id.clear();
    report.device_id = d.device_id;
    enrollment e(d, report, o.net, o.odd);
    std::optional<control_client> tenant;
    if (o.tenant) tenant.emplace(*o.tenant);

    auto const token = [&]() -> std::optional<std::string> {
        if (!tenant) return o.user_token;
        // The Terms of Use are a user's; no device is known there yet.
        json::object order{{"kind", d.entra_device_id.empty() ? "user" : o.token_kind}, {"upn", o.user},
            {"version", o.token_version}, {"claims", o.token_claims}};
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
    if (tenant && d.entra) {
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
        credential = jwt_credential(o.odd.utf16_token ? utf16le(*jwt) : *jwt);
    } else {
        credential = username_credential(o.user, o.password);
    }
    if (!e.discover(o.discovery_url, o.user, o.request_version, o.os_edition, o.auth_policies))
        return registration_undone();
    if (o.federated) {
        auto const signed_in = e.sign_in(o.user, o.tenant ? o.tenant->ca_pem : std::string());
        if (!signed_in) return registration_undone();
        credential = user_token_credential(*signed_in);
    }
    if (!e.ask_policy(credential)) return registration_undone();

    auto const key =
        o.key ? *o.key : private_key::rsa(static_cast<unsigned>(std::max(2048, e.policy.minimal_key_length)));
    auto const request = make_request(key, hex_upper(random_bytes(15)), d.device_id, o.odd.sha1_request);
    auto const document = e.ask_certificate(credential, request, context_of(d, o, blob), token_form::pkcs10);
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

join_report device::renew(renew_options const& o) {
    auto& d = *impl_;
    join_report report;
    report.device_id = d.device_id;
    report.entra_device_id = d.entra_device_id;
    auto const stop = [&](std::string text, std::uint32_t hresult) {
        report.failure = failed("renewal", std::move(text), hresult);
        return report;
    };
    if (d.state != "enrolled") return stop("this device is not enrolled", 0x8018000B);
    auto const by = o.by_previous ? d.previous : d.credentials();
    if (!by) return stop("this device has no previous certificate", 0x80180028);
    if (o.again && !d.pending_key) return stop("there is no request whose answer was lost", 0);
    auto const shown = o.without_certificate ? std::nullopt : o.connect_with ? o.connect_with : by;
    enrollment e(d, report, o.net, o.odd, shown);
    // What Windows sends is a user name and an empty password: no attempt to authenticate.
    auto const credential = o.user_name ? username_credential(d.user, "") : std::string();
    if (!e.discover(d.discovery_url, d.user, "4.0", "4", {"OnPremise", "Federated"}) || !e.ask_policy(credential))
        return report;
    auto const key = o.again ? *d.pending_key
                     : o.same_key
                         ? by->key
                         : private_key::rsa(static_cast<unsigned>(std::max(2048, e.policy.minimal_key_length)));
    auto const request =
        o.again ? d.pending_request : make_request(key, hex_upper(random_bytes(15)), d.device_id, o.odd.sha1_request);
    if (o.lose_reply) {
        d.pending_key = key;
        d.pending_request = request;
        d.save();
    }
    context_items items{{"DeviceType", "CIMClient_Windows"}, {"ApplicationVersion", d.os_version}};
    if (!o.odd.required_items_only)
        items.insert(items.end(), {{"DeviceID", d.device_id}, {"EnrollmentType", d.corporate ? "Device" : "Full"},
                                      {"OSVersion", d.os_version}, {"HWDevID", d.hardware_id}});
    auto const token = o.signed_request.value_or(cms_sign(request, o.sign_with.value_or(*by)));
    auto const document = e.ask_certificate(credential, token, items, o.form, o.lose_reply);
    if (!document) return report;
    auto p = read_provisioning(*document, {.device_store = d.corporate,
                                              .public_key_der = key.public_der(),
                                              .renewal = true,
                                              .known_root = d.root,
                                              .known_issuing = d.issuing,
                                              .known_provider = d.provider_id,
                                              .known_own = by->own});
    if (!e.check(p)) return report;
    d.previous = by;
    d.pending_key.reset();
    d.key = key;
    d.own = p.what.own;
    d.issuing = p.what.issuing;
    d.root = p.what.root;
    d.tree.set("./Device/Vendor/MSFT/CertificateStore/My/WSTEP/CertThumprint", {"chr", d.own->thumbprint(), "G"});
    d.tree.set(d.provider_node("CertRenewTimeStamp"), {"chr", rfc3339(system_clock().now()), "G"});
    for (auto const& [name, value] : p.what.renewal)
        d.tree.set("./Device/Vendor/MSFT/CertificateStore/My/WSTEP/Renew/" + name,
            {name == "ROBOSupport" ? "bool" : "int", value, "GR"});
    d.save();
    report.thumbprint = d.own->thumbprint();
    report.management_url = d.management_url;
    return report;
}

}  // namespace mdmd::sim
