#include "provisioning.hpp"

#include <charconv>
#include <set>

#include "core/text.hpp"
#include "xml/document.hpp"

namespace mdmd::sim {
namespace {

constexpr std::uint32_t cert_store = 0x8018001E, w7 = 0x8018001F, dm_client = 0x80180020, misc = 0x80180022,
                        cert_not_found = 0x80180024;

struct parm {
    std::string name, datatype;
    std::optional<std::string> value;
};

struct characteristic {
    std::string type;
    std::vector<parm> parms;
    std::vector<characteristic> inner;

    characteristic const* find(std::string_view t) const {
        for (auto const& c : inner)
            if (c.type == t) return &c;
        return nullptr;
    }
    parm const* get(std::string_view name) const {
        for (auto const& p : parms)
            if (p.name == name) return &p;
        return nullptr;
    }
    std::string value(std::string_view name) const {
        auto const* const p = get(name);
        return p ? p->value.value_or("") : std::string();
    }
};

class document_reader {
public:
    explicit document_reader(provisioning_expectation const& e) : expected_(e) {}

    provisioning_result take(std::string_view text) {
        auto const doc = xml::parse(text);
        if (!doc) {
            wrong(misc, "not XML: " + doc.error().detail);
            return std::move(out_);
        }
        if (doc->root != xml::name{"", "wap-provisioningdoc"}) wrong(misc, "the root is not wap-provisioningdoc");
        if (xml::attribute(doc->content, "", "version") != "1.1")
            wrong(misc, "wap-provisioningdoc has not version 1.1");
        auto const top = read(doc->content, "wap-provisioningdoc");
        for (auto const& c : top.inner) {
            if (c.type == "CertificateStore")
                certificate_store(c);
            else if (c.type == "APPLICATION")
                application(c);
            else if (c.type == "DMClient")
                client(c);
            else if (!allowed(c.type))
                wrong(misc, fmt::format("characteristic '{}' is not taken at enrollment", printable(c.type, 60)));
        }
        whole(top);
        return std::move(out_);
    }

private:
    void wrong(std::uint32_t code, std::string text) { out_.failures.push_back({code, std::move(text)}); }

    static bool allowed(std::string_view type) {
        constexpr std::string_view others[] = {"RootCATrustedCertificates", "ClientCertificateInstall",
            "EnterpriseModernAppManagement", "PassportForWork", "Policy"};
        return std::find(std::begin(others), std::end(others), type) != std::end(others);
    }

    characteristic read(xml::tree const& t, std::string type) {
        characteristic c;
        c.type = std::move(type);
        for (auto const& [name, inner] : t) {
            if (xml::is_attributes(name)) continue;
            if (name == xml::name{"", "characteristic"}) {
                auto const inner_type = xml::attribute(inner, "", "type");
                if (!inner_type) wrong(misc, fmt::format("a characteristic in '{}' has no type", c.type));
                c.inner.push_back(read(inner, std::string(inner_type.value_or(""))));
            } else if (name == xml::name{"", "parm"}) {
                auto const parm_name = xml::attribute(inner, "", "name");
                if (!parm_name) wrong(misc, fmt::format("a parm in '{}' has no name", c.type));
                auto const value = xml::attribute(inner, "", "value");
                parm p{std::string(parm_name.value_or("")),
                    std::string(xml::attribute(inner, "", "datatype").value_or("")), std::nullopt};
                if (value) p.value = *value;
                if (c.get(p.name)) wrong(misc, fmt::format("parm {} stands twice in '{}'", p.name, c.type));
                c.parms.push_back(std::move(p));
            } else {
                wrong(misc, fmt::format("<{}> is neither characteristic nor parm", name.local));
            }
        }
        return c;
    }

    // {40 hex digits}/EncodedCertificate
    std::optional<certificate> held(characteristic const& c, std::string const& where) {
        if (c.type.size() != 40 || c.type.find_first_not_of("0123456789ABCDEF") != c.type.npos) {
            wrong(cert_store, fmt::format("{}: '{}' is not 40 upper-case hex digits", where, printable(c.type, 60)));
            return std::nullopt;
        }
        auto const encoded = c.value("EncodedCertificate");
        if (encoded.find_first_of(" \t\r\n") != encoded.npos)
            wrong(cert_store, where + ": EncodedCertificate has white space");
        auto const der = unbase64(encoded);
        if (!der || der->empty()) {
            wrong(cert_store, where + ": EncodedCertificate is not base64");
            return std::nullopt;
        }
        auto made = certificate::from_der(*der);
        if (!made) {
            wrong(cert_store, fmt::format("{}: {}", where, made.error().detail));
            return std::nullopt;
        }
        if (made->thumbprint() != c.type)
            wrong(cert_store,
                fmt::format("{}: the name is {}, the certificate's SHA-1 is {}", where, c.type, made->thumbprint()));
        return std::move(*made);
    }

    void one_authority(characteristic const& store, std::optional<certificate>& into) {
        for (auto const& system : store.inner) {
            if (system.type != "System") {
                wrong(cert_store, fmt::format("{}/{} is no store", store.type, printable(system.type, 60)));
                continue;
            }
            for (auto const& c : system.inner) {
                if (into) wrong(cert_store, fmt::format("{}/System holds more than one certificate", store.type));
                into = held(c, store.type + "/System");
            }
        }
    }

    void certificate_store(characteristic const& all) {
        for (auto const& store : all.inner) {
            if (store.type == "Root")
                one_authority(store, out_.what.root);
            else if (store.type == "CA")
                one_authority(store, out_.what.issuing);
            else if (store.type == "My")
                my(store);
            else
                wrong(cert_store, fmt::format("store '{}' is unknown", printable(store.type, 60)));
        }
    }

    void my(characteristic const& store) {
        for (auto const& place : store.inner) {
            if (place.type == "WSTEP") {
                renewal(place);
                continue;
            }
            if (place.type != "User" && place.type != "System") {
                wrong(cert_store, fmt::format("My/{} is no store", printable(place.type, 60)));
                continue;
            }
            if (place.type != (expected_.device_store ? "System" : "User"))
                wrong(cert_not_found,
                    fmt::format("the certificate is in My/{}, EnrollmentType wants the other store", place.type));
            bool key_container = false;
            for (auto const& c : place.inner) {
                if (c.type == "PrivateKeyContainer") {
                    key_container = true;
                    continue;
                }
                if (out_.what.own) wrong(cert_store, "My holds more than one certificate");
                out_.what.own = held(c, "My/" + place.type);
                // Renewal documents have it inside the certificate's node.
                if (c.find("PrivateKeyContainer")) key_container = true;
            }
            if (!key_container) wrong(cert_store, fmt::format("My/{} has no PrivateKeyContainer", place.type));
        }
    }

    std::optional<int> number(characteristic const& c, char const* name, std::uint32_t code, int least, int most) {
        auto const* const p = c.get(name);
        if (!p) return std::nullopt;
        int v = 0;
        auto const text = p->value.value_or("");
        auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), v);
        if (ec != std::errc{} || end != text.data() + text.size() || v < least || v > most)
            wrong(code, fmt::format("{} '{}' is not {} to {}", name, printable(text, 40), least, most));
        if (p->datatype != "integer") wrong(code, fmt::format("{} has not datatype integer", name));
        return v;
    }

    void renewal(characteristic const& wstep) {
        auto const* const renew = wstep.find("Renew");
        if (!renew || wstep.inner.size() != 1) return wrong(cert_store, "WSTEP holds something else than Renew");
        for (auto const& p : renew->parms) out_.what.renewal[p.name] = p.value.value_or("");
        auto const period = number(*renew, "RenewPeriod", cert_store, 1, 1000);
        auto const retry = number(*renew, "RetryInterval", cert_store, 1, 1000);
        if (period && retry && *retry > *period) wrong(cert_store, "RetryInterval is over RenewPeriod");
        if (auto const* const robo = renew->get("ROBOSupport");
            robo && (robo->value != "true" || robo->datatype != "boolean"))
            wrong(cert_store, "ROBOSupport is not a boolean true");
        for (auto const& p : renew->parms)
            if (p.name != "RenewPeriod" && p.name != "RetryInterval" && p.name != "ROBOSupport" &&
                p.name != "ServerURL" && p.name != "RetryAfterExpiryInterval")
                wrong(cert_store, fmt::format("WSTEP/Renew/{} is unknown", printable(p.name, 60)));
    }

    void application(characteristic const& a) {
        static std::set<std::string> const known{"APPID", "PROVIDER-ID", "NAME", "ADDR", "CONNRETRYFREQ",
            "INITIALBACKOFFTIME", "MAXBACKOFFTIME", "BACKCOMPATRETRYDISABLED", "DEFAULTENCODING",
            "SSLCLIENTCERTSEARCHCRITERIA", "PROTOVER", "USEHWDEVID"};
        if (!out_.what.provider_id.empty()) wrong(w7, "APPLICATION stands twice");
        for (auto const& p : a.parms)
            if (!known.contains(p.name))
                wrong(w7, fmt::format("APPLICATION has unknown parm '{}'", printable(p.name, 60)));
        out_.what.provider_id = a.value("PROVIDER-ID");
        if (out_.what.provider_id.empty()) wrong(w7, "no PROVIDER-ID");
        if (expected_.renewal) {
            if (a.parms.size() != 1 || !a.inner.empty())
                wrong(w7, "APPLICATION of a renewal has more than PROVIDER-ID");
            return;
        }
        if (a.value("APPID") != "w7") wrong(w7, "APPID is not w7");
        out_.what.name = a.value("NAME");
        out_.what.management_url = a.value("ADDR");
        if (!out_.what.management_url.starts_with("https://")) wrong(w7, "ADDR is no https address");
        if (auto const e = a.get("DEFAULTENCODING"); !e || e->value != "application/vnd.syncml.dm+xml")
            wrong(w7, "DEFAULTENCODING is not application/vnd.syncml.dm+xml");
        if (auto const* const p = a.get("BACKCOMPATRETRYDISABLED"); p && p->value)
            wrong(w7, "BACKCOMPATRETRYDISABLED has a value");
        criteria_ = a.value("SSLCLIENTCERTSEARCHCRITERIA");
        for (auto const& inner : a.inner) {
            if (inner.type != "APPAUTH") {
                wrong(w7, fmt::format("APPLICATION holds '{}'", printable(inner.type, 60)));
                continue;
            }
            account(inner);
        }
        if (!out_.what.server) wrong(w7, "no APPAUTH with AAUTHLEVEL CLIENT");
        if (!out_.what.client) wrong(w7, "no APPAUTH with AAUTHLEVEL APPSRV");
        if (out_.what.server && out_.what.client && out_.what.server->secret == out_.what.client->secret)
            wrong(w7, "both APPAUTH have the same secret");
    }

    void account(characteristic const& c) {
        app_account a{c.value("AAUTHLEVEL"), c.value("AAUTHTYPE"), c.value("AAUTHNAME"), c.value("AAUTHSECRET"),
            c.value("AAUTHDATA")};
        if (a.secret.empty()) wrong(w7, "an APPAUTH has no AAUTHSECRET");
        if (a.type == "DIGEST" && (a.data.empty() || !unbase64(a.data)))
            wrong(w7, "a DIGEST APPAUTH has no base64 nonce in AAUTHDATA");
        if (a.level == "CLIENT") {
            if (a.type != "DIGEST") wrong(w7, "the CLIENT level is not DIGEST");
            if (out_.what.server) wrong(w7, "the CLIENT level stands twice");
            out_.what.server = std::move(a);
        } else if (a.level == "APPSRV") {
            if (a.type != "DIGEST" && a.type != "BASIC") wrong(w7, "the APPSRV level is neither DIGEST nor BASIC");
            if (a.name.empty()) wrong(w7, "the APPSRV level has no AAUTHNAME");
            if (out_.what.client) wrong(w7, "the APPSRV level stands twice");
            out_.what.client = std::move(a);
        } else {
            wrong(w7, fmt::format("AAUTHLEVEL '{}'", printable(a.level, 40)));
        }
    }

    void gather(characteristic const& c, std::string const& prefix) {
        for (auto const& p : c.parms) {
            auto const name = prefix + p.name;
            if (p.datatype != "string" && p.datatype != "integer" && p.datatype != "boolean")
                wrong(dm_client, fmt::format("{} has datatype '{}'", name, printable(p.datatype, 40)));
            if (!p.value) wrong(dm_client, name + " has no value");
            if (p.datatype == "boolean" && p.value != "true" && p.value != "false")
                wrong(dm_client, name + " is not true or false");
            out_.what.dm_client[name] = p.value.value_or("");
        }
        for (auto const& inner : c.inner) gather(inner, prefix + inner.type + "/");
    }

    void client(characteristic const& dm) {
        auto const* const provider = dm.find("Provider");
        if (!provider || provider->inner.size() != 1) return wrong(dm_client, "DMClient has not exactly one Provider");
        dm_provider_ = provider->inner.front().type;
        gather(provider->inner.front(), "");
        if (out_.what.dm_client["EntDMID"].empty()) wrong(dm_client, "no EntDMID: a renewal would fail");
        if (auto const* const poll = provider->inner.front().find("Poll"))
            schedule(*poll);
        else
            wrong(dm_client, "no Poll");
    }

    void schedule(characteristic const& poll) {
        constexpr std::pair<char const*, char const*> sets[] = {
            {"NumberOfFirstRetries", "IntervalForFirstSetOfRetries"},
            {"NumberOfSecondRetries", "IntervalForSecondSetOfRetries"},
            {"NumberOfRemainingScheduledRetries", "IntervalForRemainingScheduledRetries"}};
        constexpr int defaults[][2] = {{10, 15}, {0, 0}, {0, 0}};
        int endless = 0, sum = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            auto const count = number(poll, sets[i].first, dm_client, 0, 1'000'000).value_or(defaults[i][0]);
            auto const interval = number(poll, sets[i].second, dm_client, 0, 1'000'000).value_or(defaults[i][1]);
            sum += (count != 0) + (interval != 0);
            if (count != 0 || interval == 0) continue;
            if (i == 0) wrong(dm_client, "Poll: the first set is without end");
            ++endless;
        }
        if (sum == 0) wrong(dm_client, "Poll: everything is 0");
        if (endless != 1) wrong(dm_client, fmt::format("Poll: {} sets without end, not exactly one", endless));
    }

    // What only the parts together tell.
    void whole(characteristic const& top) {
        auto& w = out_.what;
        if (expected_.renewal) {
            if (!w.root) w.root = expected_.known_root;
            if (!w.issuing) w.issuing = expected_.known_issuing;
            renewed();
        } else {
            if (!top.find("APPLICATION")) wrong(w7, "no APPLICATION");
            if (!top.find("DMClient")) wrong(dm_client, "no DMClient");
            if (!w.provider_id.empty() && !dm_provider_.empty() && dm_provider_ != w.provider_id)
                wrong(dm_client, fmt::format("DMClient is for '{}', PROVIDER-ID is '{}'", printable(dm_provider_, 60),
                                     printable(w.provider_id, 60)));
        }
        if (!w.root) wrong(cert_store, "no root certificate");
        if (!w.own) return wrong(cert_store, "no client certificate");
        if (w.own->public_der() != expected_.public_key_der)
            wrong(cert_not_found, "the certificate is not for our key");
        if (!w.own->for_client_authentication())
            wrong(cert_not_found, "the certificate's extended key usage is not clientAuth");
        if (w.root) {
            if (!w.root->is_self_signed()) wrong(cert_store, "the root certificate is not self-signed");
            std::vector<certificate> between;
            if (w.issuing) between.push_back(*w.issuing);
            if (auto const failure = chain_failure(*w.own, between, *w.root))
                wrong(cert_not_found, "the chain root, CA, My does not verify: " + *failure);
        }
        if (w.issuing && !w.issuing->is_authority()) wrong(cert_store, "the certificate in CA is no authority");
        if (!expected_.renewal) search();
    }

    // The search criteria of the enrollment stay, and must find the new certificate too.
    void renewed() {
        auto const& w = out_.what;
        if (!expected_.known_provider.empty() && w.provider_id != expected_.known_provider)
            wrong(w7, fmt::format("the renewal is of PROVIDER-ID '{}', the device is enrolled at '{}'",
                          printable(w.provider_id, 60), printable(expected_.known_provider, 60)));
        if (!w.own || !expected_.known_own) return;
        if (w.own->subject() != expected_.known_own->subject())
            wrong(cert_not_found, "the new certificate's subject is another: the search criteria do not find it");
        if (w.own->thumbprint() == expected_.known_own->thumbprint())
            wrong(cert_store, "the renewed certificate is the one before");
        if (w.own->ends() < expected_.known_own->ends())
            wrong(cert_store, "the renewed certificate ends before the one before");
    }

    // SSLCLIENTCERTSEARCHCRITERIA must find the certificate, by its whole subject, in its store.
    void search() {
        std::string subject, stores;
        for (auto const pair : split(criteria_, '&')) {
            auto const eq = pair.find('=');
            auto const name = percent_decode(pair.substr(0, eq)),
                       value = percent_decode(eq == pair.npos ? "" : pair.substr(eq + 1));
            if (!name || !value || eq == pair.npos)
                return wrong(cert_not_found, "SSLCLIENTCERTSEARCHCRITERIA cannot be read");
            if (pair.find_first_of(" \\,") != pair.npos || pair.substr(eq + 1).find('=') != pair.npos)
                return wrong(cert_not_found, "SSLCLIENTCERTSEARCHCRITERIA is not percent-encoded");
            if (*name == "Subject")
                subject = *value;
            else if (*name == "Stores")
                stores = *value;
            else
                return wrong(cert_not_found, fmt::format("SSLCLIENTCERTSEARCHCRITERIA has '{}'", printable(*name, 40)));
        }
        if (subject != out_.what.own->subject())
            wrong(cert_not_found, fmt::format("SSLCLIENTCERTSEARCHCRITERIA looks for '{}', the certificate is '{}'",
                                      printable(subject, 200), printable(out_.what.own->subject(), 200)));
        if (!iequals(stores, expected_.device_store ? "My\\System" : "My\\User"))
            wrong(cert_not_found, fmt::format("SSLCLIENTCERTSEARCHCRITERIA looks in '{}'", printable(stores, 60)));
    }

    provisioning_expectation const& expected_;
    provisioning_result out_;
    std::string criteria_, dm_provider_;
};

}  // namespace

provisioning_result read_provisioning(std::string_view document, provisioning_expectation const& expected) {
    return document_reader(expected).take(document);
}

}  // namespace mdmd::sim
