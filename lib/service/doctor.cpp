#include "service/doctor.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <set>
#include <system_error>

#include "config/load.hpp"
#include "core/random.hpp"
#include "core/text.hpp"
#include "crypto/server_certificate.hpp"
#include "entra/graph.hpp"
#include "entra/token.hpp"
#include "service/application_token.hpp"
#include "store/check.hpp"

namespace mdmd::service {
namespace {

using namespace std::chrono_literals;

using std::chrono::seconds;

constexpr auto patience = 5s;  // for one call
constexpr std::uint64_t mebibyte = std::uint64_t{1024} * 1024;

constexpr mode_t others = S_IROTH | S_IWOTH | S_IXOTH;
constexpr mode_t key_bits = others | S_IWGRP;                          // that a key file may not have
constexpr mode_t private_bits = others | S_IRGRP | S_IWGRP | S_IXGRP;  // that the database may not have

std::string host_of(config::url const& u) {
    return u.host.starts_with('[') ? u.host.substr(1, u.host.size() - 2) : u.host;
}

std::int64_t days(std::chrono::milliseconds d) { return std::chrono::floor<std::chrono::days>(d).count(); }

std::string days_text(std::chrono::milliseconds d) {
    return days(d) == 1 ? std::string("1 day") : fmt::format("{} days", days(d));
}

// "https://mdm.contoso.com/" is "https://MDM.contoso.com": case does not count in scheme and host, nor does a slash at
// the end anywhere.
bool is_same_url(std::string_view a, std::string_view b) {
    auto const parts = [](std::string_view u) {
        while (u.ends_with('/')) u.remove_suffix(1);
        auto const scheme = u.find("://");
        auto const path = scheme == u.npos ? u.npos : u.find('/', scheme + 3);
        auto const cut = std::min(path, u.size());
        return std::pair(lower(u.substr(0, cut)), std::string(u.substr(cut)));
    };
    return parts(a) == parts(b);
}

class examination {
public:
    examination(config::settings const& s, surroundings const& in)
        : s_(s), in_(in), now_(in.time.now()), app_(application_of(s)) {}

    std::vector<check> run() {
        file_modes();
        names();
        tls_certificate();
        tls_lifetime();
        login();
        graph();
        proxy();
        key();
        next_key();
        key_end();
        permissions();
        app_id();
        mdm_urls();
        ca_file();
        disk();
        database();
        daemon();
        notify();
        return std::move(all_);
    }

private:
    void add(char const* name, verdict v, std::string detail, std::string remedy = {}) {
        all_.push_back({name, v, std::move(detail), v == verdict::ok ? "" : std::move(remedy)});
    }
    void ok(char const* name, std::string detail) { add(name, verdict::ok, std::move(detail)); }
    void warn(char const* name, std::string detail, std::string remedy) {
        add(name, verdict::warn, std::move(detail), std::move(remedy));
    }
    void fail(char const* name, std::string detail, std::string remedy) {
        add(name, verdict::fail, std::move(detail), std::move(remedy));
    }

    result<http::response> call(http::call c) const {
        c.timeout = patience;
        return in_.out(c);
    }

    void file_modes();
    void names();
    void tls_certificate();
    void tls_lifetime();
    void login();
    void clock(http::response const* answer);
    void graph();
    void proxy();
    void key();
    void next_key();
    void key_end();
    void permissions();
    void app_id();
    void mdm_urls();
    void ca_file();
    void disk();
    void database();
    void daemon();
    void notify();

    struct purchase {
        std::optional<entra::access_token> token;
        verdict result = verdict::ok;
        std::string detail, remedy;
    };
    purchase buy(credential const&) const;
    std::string unreachable_remedy(std::string const& detail, config::url const&) const;
    bool blames_proxy(std::string_view detail) const;
    std::string const* no_address(std::string const& host) const;
    seconds reminder() const { return s_.key_reminders.empty() ? 0s : s_.key_reminders.front(); }
    result<entra::registration> const& registration();
    char const* without_token() const { return "not known, since there is no token for Graph"; }

    config::settings const& s_;
    surroundings const& in_;
    time_point now_;
    entra::application app_;
    std::vector<check> all_;
    std::map<std::string, std::string> addresses_;  // as surroundings::look_up gives them
    bool login_answers_ = false, graph_answers_ = false;
    std::string way_out_blame_;  // the first failure that is the proxy's
    std::optional<entra::access_token> token_;
    std::optional<result<entra::registration>> registration_;
};

void examination::file_modes() {
    auto const& e = s_.entra;
    struct file {
        std::filesystem::path path;
        mode_t unwanted;
        char const* remedy;
    };
    std::vector<file> files;
    for (auto const* key : {&e.key_file, &e.certificate_key_file, &e.next_key_file, &s_.server.tls_key})
        if (!key->empty()) files.push_back({*key, key_bits, "chmod 640"});
    bool const inline_secret =
        e.source == config::key_source::inline_value && !e.key.empty();  // then config.yaml is a key file itself
    if (inline_secret) files.push_back({s_.file, key_bits, "chmod 640"});
    for (auto const* tail : {"", "-wal", "-shm"}) {
        auto path = s_.storage.path;
        path += tail;
        files.push_back({path, private_bits, "chmod 600"});
    }
    std::vector<std::string> wrong, remedies;
    std::size_t seen = 0;
    for (auto const& f : files) {
        struct stat info {};
        if (::stat(f.path.c_str(), &info) != 0) continue;  // its absence is another check's
        ++seen;
        if ((info.st_mode & f.unwanted) == 0) continue;
        wrong.push_back(fmt::format("{} has mode {:04o}", f.path.string(), info.st_mode & 07777));
        remedies.push_back(fmt::format("{} {}", f.remedy, f.path.string()));
    }
    if (wrong.empty()) return ok("file_modes", fmt::format("{} files are for their owners alone", seen));
    fail("file_modes", fmt::format("{}", fmt::join(wrong, "; ")), fmt::format("{}", fmt::join(remedies, "; ")));
}

std::string const* examination::no_address(std::string const& host) const {
    auto const found = addresses_.find(host);
    return found != addresses_.end() && !found->second.empty() ? &found->second : nullptr;
}

void examination::names() {
    auto const ours = std::set<std::string>{host_of(s_.server.public_url), host_of(s_.server.management_url)};
    auto const theirs = s_.entra.proxy
                            ? std::set<std::string>{s_.entra.proxy->host}
                            : std::set<std::string>{host_of(s_.entra.login_url), host_of(s_.entra.graph_url)};
    std::vector<std::string> wanted(ours.begin(), ours.end());
    for (auto const& host : theirs)
        if (!ours.contains(host)) wanted.push_back(host);
    addresses_ = in_.look_up(wanted);
    auto worst = verdict::ok;
    std::vector<std::string> missing;
    for (auto const& host : wanted) {
        auto const* const why = no_address(host);
        if (!why) continue;
        missing.push_back(fmt::format("{} has no address ({})", host, *why));
        worst = std::max(worst, theirs.contains(host) ? verdict::fail : verdict::warn);
    }
    if (missing.empty()) return ok("dns", fmt::format("{} can be found", fmt::join(wanted, ", ")));
    add("dns", worst, fmt::format("{}", fmt::join(missing, "; ")),
        worst == verdict::fail ? "Check the name, and this machine's name servers (resolvectl status)."
                               : "Devices must find this name: enter it in the name servers that they ask.");
}

void examination::tls_certificate() {
    constexpr auto name = "tls_certificate";
    constexpr auto replace = "Put a certificate for these names, with its whole chain, into server.tls_certificate.";
    auto const chain = crypto::certificates_of(s_.server.certificate_pem);
    if (!chain) return fail(name, chain.error().detail, replace);
    auto const& own = chain->front();
    auto const use = crypto::use_of(own);
    std::vector<std::string> missing;
    for (auto const& host : std::set<std::string>{host_of(s_.server.public_url), host_of(s_.server.management_url)})
        if (!crypto::is_for_host(own, host)) missing.push_back(host);
    if (!missing.empty())
        return fail(name,
            fmt::format("the certificate is not for {}, but for {}", fmt::join(missing, " and "),
                use.names.empty() ? "no host (it has no subject alternative names)"
                                  : printable(fmt::format("{}", fmt::join(use.names, ", ")), 300)),
            replace);
    if (!use.for_servers)
        return fail(name, "the certificate is not for servers: its extended key usage lacks serverAuth",
            "Have a certificate issued for TLS servers.");
    if (!use.for_signatures)
        return fail(name, "the certificate's key usage lacks digitalSignature, which TLS needs",
            "Have a certificate issued for TLS servers.");
    auto const end = crypto::end_of_chain(*chain, {in_.system_roots, in_.trusted_pem});
    using kind = crypto::chain_end::kind;
    if (end.what == kind::broken)
        return fail(name, fmt::format("the chain cannot be verified: {}", end.about),
            "Put the certificates of the issuing authorities behind the server's own, each below the one it issued.");
    for (std::size_t i = 0; i + 1 < chain->size(); ++i)
        if (!crypto::is_issued_by((*chain)[i], (*chain)[i + 1]))
            return warn(name,
                fmt::format(
                    "the chain is out of order: certificate {} of the file did not issue the one before it", i + 2),
                "Put each certificate behind the one that it issued, the server's own first; take out what does not "
                "belong there.");
    switch (end.what) {
        case kind::self_signed:
            return warn(name, fmt::format("the chain ends with {}, which this system does not trust", end.about),
                "Windows must trust this root before it can enroll: roll it out to the computers by Group Policy or "
                "their image, or use a certificate of a public authority.");
        case kind::open:
            return warn(name, fmt::format("the chain ends before its root: the issuer {} is not in it", end.about),
                "Where that is an issuing authority, append its certificate to server.tls_certificate. Where it is a "
                "root of your own, Windows must trust it before it can enroll.");
        default: break;
    }
    ok(name, fmt::format("{} certificates, for {}, up to a trusted root", chain->size(),
                 printable(fmt::format("{}", fmt::join(use.names, ", ")), 300)));
}

void examination::tls_lifetime() {
    constexpr auto name = "tls_lifetime";
    constexpr auto longest = std::chrono::days(398);  // what public authorities issue at most
    constexpr auto renew = "Renew server.tls_certificate, and reload mdmd.";
    auto const chain = crypto::certificates_of(s_.server.certificate_pem);
    if (!chain) return fail(name, chain.error().detail, renew);
    crypto::certificate const* first = &chain->front();  // to end, of all that are sent
    for (auto const& c : *chain) {
        if (c.not_before() > now_)
            return fail(name, fmt::format("{} is not valid before {}", c.subject(), rfc3339(c.not_before())),
                "Check this machine's clock; else have the certificate issued anew.");
        if (c.not_after() < first->not_after()) first = &c;
    }
    auto const left = first->not_after() - now_;
    auto const whose = first == &chain->front() ? std::string("the certificate") : first->subject();
    if (left <= 0ms) return fail(name, fmt::format("{} has ended {}", whose, rfc3339(first->not_after())), renew);
    if (left <= reminder())
        return warn(name, fmt::format("{} ends {}, in {}", whose, rfc3339(first->not_after()), days_text(left)), renew);
    auto const& own = chain->front();
    if (own.not_after() - own.not_before() > longest + 1s)
        return warn(name,
            fmt::format("the certificate is valid for {}, longer than public authorities may issue",
                days_text(own.not_after() - own.not_before())),
            "Use certificates of at most 398 days, renewed by a timer: a key that leaks is then of use for less long.");
    ok(name, fmt::format("{} ends {}, in {}", whose, rfc3339(first->not_after()), days_text(left)));
}

bool examination::blames_proxy(std::string_view detail) const {
    return s_.entra.proxy && detail.find(": proxy ") != detail.npos;
}

std::string examination::unreachable_remedy(std::string const& detail, config::url const& to) const {
    if (blames_proxy(detail)) return "Mend the way through the proxy first: see the check `proxy`.";
    if (detail.find("certificate") != detail.npos || detail.find("TLS") != detail.npos)
        return "Where a proxy or firewall looks into TLS, put its root into entra.ca_file; else check the host's name "
               "and this machine's clock.";
    return fmt::format("Let this machine through to {}:{} (firewall), or set entra.proxy.", to.host, to.port);
}

void examination::clock(http::response const* answer) {
    auto const there = answer ? entra::date_of(*answer) : std::nullopt;
    if (!there)
        return warn("clock", "the time at Entra is not known, since the login host did not tell it",
            "Keep the clock by NTP (timedatectl).");
    auto const ahead = in_.time.now() - *there;
    auto const how_far = std::chrono::floor<seconds>(ahead < 0ms ? -ahead : ahead).count();
    add("clock", judge_clock(ahead),
        fmt::format("this machine's clock is {} s {} Entra's", how_far, ahead < 0ms ? "behind" : "ahead of"),
        "Set the clock and keep it by NTP (timedatectl set-ntp true): Entra's tokens are refused by a wrong one.");
}

void examination::login() {
    constexpr auto name = "login";
    auto const& host = s_.entra.login_url;
    auto const hop = s_.entra.proxy ? s_.entra.proxy->host : host_of(host);
    if (auto const* why = no_address(hop)) {
        way_out_blame_ = s_.entra.proxy ? fmt::format("{} has no address ({})", hop, *why) : "";
        fail(name, fmt::format("{} has no address ({})", hop, *why), "See the check `dns`.");
        return clock(nullptr);
    }
    auto const& tenant = s_.entra.tenant_id;
    auto const answer = call({.method = "GET",
        .url = fmt::format("{}/{}/v2.0/.well-known/openid-configuration", host.text, tenant),
        .headers = {},
        .body = {}});
    if (!answer) {
        auto const& detail = answer.error().detail;
        if (blames_proxy(detail)) way_out_blame_ = detail;
        fail(name, detail, unreachable_remedy(detail, host));
        return clock(nullptr);
    }
    login_answers_ = true;
    if (answer->status == 200) {
        auto const said = entra::parse_metadata(answer->body, tenant);
        if (!said) {
            fail(name, fmt::format("what answers at {} is not Entra ID: {}", host.text, said.error().detail),
                "Check entra.login_url, and that no proxy or sign-in page answers in its place.");
        } else if (lower(said->issuer).find(tenant) == std::string::npos) {
            fail(name, fmt::format("the issuer {} is not that of the tenant {}", printable(said->issuer, 200), tenant),
                "Check entra.tenant_id and entra.cloud.");
        } else {
            ok(name, fmt::format("{} knows the tenant {}", host.text, tenant));
        }
    } else if (answer->status == 400 || answer->status == 404) {
        fail(name, fmt::format("{} knows no tenant {} (HTTP {})", host.text, tenant, answer->status),
            "Check entra.tenant_id, and entra.cloud: each cloud has tenants of its own.");
    } else {
        fail(name, fmt::format("{} answers HTTP {}", host.text, answer->status),
            "Try again in some minutes; if it stays so, check entra.login_url and what is between.");
    }
    clock(&*answer);
}

void examination::graph() {
    constexpr auto name = "graph";
    auto const& host = s_.entra.graph_url;
    auto const hop = s_.entra.proxy ? s_.entra.proxy->host : host_of(host);
    if (auto const* why = no_address(hop))
        return fail(name, fmt::format("{} has no address ({})", hop, *why), "See the check `dns`.");
    if (!way_out_blame_.empty())
        return fail(name, "not tried, since the proxy does not let calls through", "See the check `proxy`.");
    auto const answer = call({.method = "GET", .url = host.text + "/v1.0/", .headers = {}, .body = {}});
    if (!answer) {
        auto const& detail = answer.error().detail;
        if (blames_proxy(detail)) way_out_blame_ = detail;
        return fail(name, detail, unreachable_remedy(detail, host));
    }
    graph_answers_ = answer->status < 500;
    if (!graph_answers_)
        return warn(name, fmt::format("{} answers HTTP {}", host.text, answer->status), "Try again in some minutes.");
    ok(name, fmt::format("{} answers", host.text));
}

void examination::proxy() {
    if (!s_.entra.proxy) return;
    constexpr auto name = "proxy";
    auto const where = fmt::format("{}:{}", s_.entra.proxy->host, s_.entra.proxy->port);
    if (login_answers_ || graph_answers_) {
        if (way_out_blame_.empty()) return ok(name, fmt::format("{} lets calls through", where));
        return fail(name, way_out_blame_, "Let the proxy through to both login and Graph.");
    }
    if (way_out_blame_.empty())
        return warn(name, fmt::format("not known, since neither login nor Graph answers through {}", where),
            "See the checks `login` and `graph`.");
    auto const is = [&](char const* what) { return way_out_blame_.find(what) != std::string::npos; };
    fail(name, way_out_blame_,
        is("asks for credentials") ? "Put user:password for the proxy into a file (chmod 640) and name it in "
                                     "entra.proxy_credentials_file."
        : is("does not accept its credentials") ? "Correct user and password in entra.proxy_credentials_file."
        : is("refuses CONNECT")
            ? fmt::format("Have the proxy allow CONNECT to {}:{} and {}:{}.", s_.entra.login_url.host,
                  s_.entra.login_url.port, s_.entra.graph_url.host, s_.entra.graph_url.port)
            : "Check host and port in entra.proxy, and that the proxy runs.");
}

examination::purchase examination::buy(credential const& key) const {
    auto const form = s_.entra.assertion == config::assertion_form::rs256 ? entra::assertion_form::rs256
                                                                          : entra::assertion_form::ps256;
    auto request = entra::token_request(app_, key, form, now_);
    if (!request)
        return {{}, verdict::fail, request.error().detail, "Check the certificate and its private key, or the secret."};
    auto answer = call(*request);
    wipe(request->body);
    if (!answer)
        return {
            {}, verdict::fail, answer.error().detail, unreachable_remedy(answer.error().detail, s_.entra.login_url)};
    auto parsed = entra::parse_token_answer(*answer, now_);
    wipe(answer->body);
    if (parsed.token) return {std::move(parsed.token), verdict::ok, "Entra takes it", ""};
    auto const& why = parsed.refusal;
    auto detail = why.code ? fmt::format("AADSTS{}: {}", why.code, why.meaning) : why.meaning;
    detail += fmt::format(" (HTTP {}{}{})", why.http_status, why.trace_id.empty() ? "" : ", trace ", why.trace_id);
    bool const passing = why.http_status == 429 || why.http_status >= 500;
    return {{}, passing ? verdict::warn : verdict::fail, std::move(detail), why.remedy};
}

void examination::key() {
    if (!login_answers_)
        return warn("key", "not tried, since the login host does not answer", "See the check `login`.");
    auto bought = buy(s_.entra.key);
    token_ = std::move(bought.token);
    add("key", bought.result, std::move(bought.detail), std::move(bought.remedy));
}

void examination::next_key() {
    auto const& file = s_.entra.next_key_file;
    std::error_code ignored;
    if (file.empty() || !std::filesystem::exists(file, ignored)) return;
    auto const next = config::read_credential(file);
    if (!next) return fail("next_key", next.error().detail, "Correct the file, or take it away until there is a key.");
    auto const& now = s_.entra.key;
    if (next->text.reveal() == now.text.reveal() && next->certificate_pem == now.certificate_pem)
        return warn("next_key", "it is the same as the current key", "Put the new key into entra.next_key_file.");
    if (!login_answers_)
        return warn("next_key", "not tried, since the login host does not answer", "See the check `login`.");
    auto bought = buy(*next);
    if (!token_) token_ = std::move(bought.token);
    add("next_key", bought.result, std::move(bought.detail), std::move(bought.remedy));
}

result<entra::registration> const& examination::registration() {
    if (!registration_) {
        auto const answer = call(entra::read_application(app_, *token_, new_guid()));
        registration_ = answer ? entra::parse_application(*answer) : result<entra::registration>(answer.error());
    }
    return *registration_;
}

void examination::key_end() {
    constexpr auto name = "key_end";
    constexpr auto renew =
        "Make a new key in the portal, put it into entra.next_key_file, then `mdmctl key promote` (docs/key-rollover.md).";
    auto const& held = s_.entra.key;
    std::optional<time_point> ends;
    std::string source, problem;
    if (!token_ || !graph_answers_) {
        problem = token_ ? "Graph does not answer" : "there is no token for Graph";
    } else if (auto const& known = registration(); !known) {
        problem = known.error().detail;
    } else if ((ends = entra::end_of(held, *known, now_))) {
        source = "Graph";
    } else {
        problem = "Graph lists no key of the application that is like this one";
    }
    if (!ends && s_.entra.key_expires) {
        ends = s_.entra.key_expires;
        source = "entra.key_expires";
    }
    if (held.is_certificate())
        if (auto const own = crypto::certificate::from_pem(held.certificate_pem);
            own && (!ends || own->not_after() < *ends)) {
            ends = own->not_after();
            source = "the certificate";
        }
    if (!ends)
        return warn(name, fmt::format("the key's end is not known: {}", problem),
            token_ && graph_answers_
                ? "Grant the application Application.Read.All with admin consent, or set entra.key_expires."
                : "See the checks `login`, `key` and `graph`, or set entra.key_expires.");
    auto const left = *ends - now_;
    auto const when = fmt::format("{} (from {})", rfc3339(*ends), source);
    if (left <= 0ms) return fail(name, fmt::format("the key has ended {}", when), renew);
    auto detail = fmt::format("the key ends in {}, {}", days_text(left), when);
    if (left <= reminder()) return warn(name, std::move(detail), renew);
    ok(name, std::move(detail));
}

void examination::permissions() {
    constexpr auto name = "permissions";
    if (!token_) return warn(name, without_token(), "See the checks `login` and `key`.");
    auto const held = entra::roles_of(*token_);
    auto const any_of = [&](std::initializer_list<char const*> all) {
        return std::any_of(all.begin(), all.end(), [&](char const* one) { return held.contains(one); });
    };
    constexpr auto how =
        "Entra admin center: App registrations, the application, API permissions, Add a permission, "
        "Microsoft Graph, Application permissions: {}; then Grant admin consent.";
    if (!any_of({"Device.ReadWrite.All", "Directory.ReadWrite.All"}))
        return fail(name,
            fmt::format("the application may not report compliance: Device.ReadWrite.All is not granted (granted: {})",
                held.empty() ? "nothing" : printable(fmt::format("{}", fmt::join(held, ", ")), 400)),
            fmt::format(how, "Device.ReadWrite.All"));
    struct wanted {
        char const* name;
        std::initializer_list<char const*> any;
        char const* lost;
    };
    std::vector<std::string> missing, lost;
    for (auto const& w : {wanted{"Application.Read.All",
                              {"Application.Read.All", "Application.ReadWrite.All", "Application.ReadWrite.OwnedBy",
                                  "Directory.Read.All", "Directory.ReadWrite.All"},
                              "the key's end cannot be read from Graph"},
             wanted{"GroupMember.Read.All",
                 {"GroupMember.Read.All", "Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All",
                     "Directory.ReadWrite.All"},
                 "the groups of users cannot be read"},
             wanted{"User.Read.All",
                 {"User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"},
                 "users cannot be looked up"}})
        if (!any_of(w.any)) {
            missing.emplace_back(w.name);
            lost.push_back(fmt::format("without {} {}", w.name, w.lost));
        }
    if (missing.empty()) return ok(name, fmt::format("{}", fmt::join(held, ", ")));
    warn(name, fmt::format("{}", fmt::join(lost, "; ")), fmt::format(how, fmt::join(missing, ", ")));
}

void examination::app_id() {
    constexpr auto name = "app_id";
    auto const& ours = s_.entra.app_id;
    if (!token_) return warn(name, without_token(), "See the checks `login` and `key`.");
    auto const by_hand = fmt::format(
        "Compare by hand: App registrations, the application, Expose an API, Application ID URI must be {}.", ours);
    if (!graph_answers_) return warn(name, "not known, since Graph does not answer", by_hand);
    auto const& known = registration();
    if (!known) return warn(name, fmt::format("not known: {}", known.error().detail), by_hand);
    auto const& uris = known->identifier_uris;
    if (std::any_of(uris.begin(), uris.end(), [&](auto const& uri) { return is_same_url(uri, ours); }))
        return ok(name, fmt::format("{} is an Application ID URI of the application", ours));
    fail(name,
        fmt::format("{} is not an Application ID URI of the application, which has {}", ours,
            uris.empty() ? "none" : printable(fmt::format("{}", fmt::join(uris, ", ")), 400)),
        fmt::format(
            "Set entra.app_id to it, or enter {} under App registrations, the application, Expose an API.", ours));
}

void examination::mdm_urls() {
    constexpr auto name = "mdm_urls";
    auto const& origin = s_.server.public_url.text;
    struct address {
        char const* title;
        std::string wanted, found;
    };
    std::vector<address> all{{"terms of use", origin + "/TermsOfUse", ""},
        {"discovery", origin + "/EnrollmentServer/Discovery.svc", ""}, {"compliance", origin + "/compliance", ""}};
    std::vector<std::string> list;
    for (auto const& a : all) list.push_back(fmt::format("MDM {} URL {}", a.title, a.wanted));
    auto const by_hand = fmt::format(
        "Compare by hand in the Entra admin center, Mobility (MDM and WIP), the "
        "application: {}.",
        fmt::join(list, ", "));
    if (!token_) return warn(name, without_token(), by_hand);
    if (!graph_answers_) return warn(name, "not known, since Graph does not answer", by_hand);
    auto const answer = call(entra::read_mdm_policy(app_, *token_, new_guid()));
    auto const known = answer ? entra::parse_mdm_policy(*answer) : result<entra::mdm_urls>(answer.error());
    if (!known)
        return warn(name,
            known.error().code == errc::forbidden
                ? "not known: Graph does not let the application see them (Policy.Read.All)"
                : fmt::format("not known: {}", known.error().detail),
            by_hand);
    all[0].found = known->terms_of_use_url;
    all[1].found = known->discovery_url;
    all[2].found = known->compliance_url;
    std::vector<std::string> wrong, right;
    for (auto const& a : all)
        if (!is_same_url(a.wanted, a.found)) {
            wrong.push_back(fmt::format("the {} URL is {}", a.title, a.found.empty() ? "not set" : a.found));
            right.push_back(fmt::format("MDM {} URL {}", a.title, a.wanted));
        }
    if (wrong.empty()) return ok(name, "terms of use, discovery and compliance are those of server.public_url");
    fail(name, fmt::format("{}", fmt::join(wrong, "; ")),
        fmt::format(
            "Enter in the Entra admin center, Mobility (MDM and WIP), the application: {}.", fmt::join(right, ", ")));
}

void examination::ca_file() {
    if (s_.entra.ca_pem.empty()) return;
    constexpr auto name = "ca_file";
    constexpr auto renew = "Put the current roots into entra.ca_file, and reload mdmd.";
    auto const roots = crypto::certificates_of(s_.entra.ca_pem);
    if (!roots) return fail(name, roots.error().detail, renew);
    std::optional<time_point> next;
    std::size_t ended = 0;
    for (auto const& root : *roots) {
        if (root.not_after() <= now_)
            ++ended;
        else
            next = std::min(next.value_or(root.not_after()), root.not_after());
    }
    if (!next) return fail(name, fmt::format("all {} roots have ended", roots->size()), renew);
    auto detail = fmt::format(
        "the first of {} roots ends {}, in {}", roots->size() - ended, rfc3339(*next), days_text(*next - now_));
    if (*next - now_ <= reminder()) return warn(name, std::move(detail), renew);
    if (ended > 0) return warn(name, fmt::format("{} of {} roots have ended", ended, roots->size()), renew);
    ok(name, std::move(detail));
}

void examination::disk() {
    auto const folder = s_.storage.path.parent_path();
    struct statvfs info {};
    if (::statvfs(folder.c_str(), &info) != 0)
        return fail("disk", fmt::format("{}: {}", folder.string(), std::generic_category().message(errno)),
            fmt::format(
                "Make the folder {}, owned by the user that mdmd runs as, or change storage.path.", folder.string()));
    auto const free = std::uint64_t{info.f_bavail} * info.f_frsize;
    auto const all = std::uint64_t{info.f_blocks} * info.f_frsize;
    add("disk", judge_space(free, all),
        fmt::format("{} MiB of {} MiB are free for {}", free / mebibyte, all / mebibyte, folder.string()),
        "Make room on this disk: without it nothing can be enrolled or recorded.");
}

void examination::database() {
    constexpr auto name = "database";
    auto const& file = s_.storage.path;
    auto const done = store::check_database(file);
    if (done) return ok(name, fmt::format("{} is whole", file.string()));
    auto const& why = done.error();
    switch (why.code) {
        case errc::not_found:
            return warn(name, fmt::format("there is no {}: mdmd makes it at its first start", file.string()),
                "Start mdmd. Where it has run before, check storage.path, or restore a backup.");
        case errc::forbidden:
            return warn(name, fmt::format("not looked at: {}", why.detail),
                "Run `mdmctl doctor` as root or as the user that mdmd runs as.");
        case errc::conflict:
            return fail(name, fmt::format("{}: {}", file.string(), why.detail),
                "Install the newer mdmd that wrote it, check storage.path, or restore a backup.");
        case errc::malformed:
            return fail(name, fmt::format("{} is damaged: {}", file.string(), printable(why.detail, 300)),
                "Stop mdmd, keep a copy of the three files, and restore the last backup; then look for the cause on "
                "the disk.");
        default:
            return fail(name, fmt::format("{}: {}", file.string(), printable(why.detail, 300)),
                "Check the disk, and that no other program has the database open.");
    }
}

void examination::daemon() {
    constexpr auto name = "daemon";
    auto const said = in_.daemon();
    if (!said)
        return warn(name, said.error().detail,
            "Start it: systemctl enable --now mdmd; if it does not stay up, journalctl -u mdmd says why. Only root and "
            "the group mdmd may ask it.");
    if (said->version != in_.version)
        return warn(name, fmt::format("mdmd {} runs, {} is installed", printable(said->version, 64), in_.version),
            "Restart it: systemctl restart mdmd.");
    if (!said->last_error.empty())
        return warn(name, fmt::format("it runs, but reports fail: {}", printable(said->last_error, 400)),
            "Mend what the other checks name, then `mdmctl compliance report`.");
    ok(name, fmt::format("mdmd {} runs", said->version));
}

void examination::notify() {
    constexpr auto name = "notify";
    auto const& command = s_.notify.command;
    if (command.empty()) return;
    if (::access(command.c_str(), X_OK) == 0) return ok(name, fmt::format("{} can be run", command.string()));
    fail(name, fmt::format("{} cannot be run: {}", command.string(), std::generic_category().message(errno)),
        fmt::format("chmod 755 {}, and let everybody through the folders above it.", command.string()));
}

}  // namespace

verdict judge_space(std::uint64_t free, std::uint64_t all) {
    constexpr auto least = 100 * mebibyte, comfortable = 1024 * mebibyte;
    if (free < least) return verdict::fail;
    return free < comfortable || free < all / 10 ? verdict::warn : verdict::ok;
}

verdict judge_clock(std::chrono::milliseconds ahead) {
    auto const off = ahead < 0ms ? -ahead : ahead;
    return off > 300s ? verdict::fail : off > 60s ? verdict::warn : verdict::ok;
}

std::vector<check> examine(config::settings const& s, surroundings const& in) { return examination(s, in).run(); }

}  // namespace mdmd::service
