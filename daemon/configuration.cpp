#include "daemon/configuration.hpp"

#include <fstream>
#include <iterator>

#include "catalogue/check.hpp"
#include "compliance/contradictions.hpp"
#include "crypto/crypto.hpp"
#include "service/consent.hpp"
#include "service/packages.hpp"
#include "version.hpp"

namespace mdmd::daemon {
namespace {

// What is wrong with files that were readable.
std::vector<config::problem> check_files(config::settings const& s) {
    std::vector<config::problem> out;
    auto const check_pair = [&](char const* key, config::position at, http::tls_identity const& identity) {
        if (identity.certificate_pem.empty()) return;
        if (auto const tls = http::make_tls(identity); !tls)
            out.push_back({s.file, at.line, at.column, key,
                fmt::format("expected the private key of the certificate, got: {}", tls.error().detail)});
    };
    check_pair("server.tls_key", s.server.tls_key_at, public_identity(s));
    check_pair("admin.tls_key", s.admin.tls_key_at, admin_identity(s));
    try {
        static_cast<void>(way_out(s, {}));
    } catch (std::exception const& e) {
        out.push_back({s.file, s.entra.ca_file_at.line, s.entra.ca_file_at.column, "entra.ca_file",
            fmt::format("expected certificates in PEM, got: {}", e.what())});
    }
    if (auto const& key = s.entra.key; key.is_certificate()) {
        auto const certificate = crypto::certificate::from_pem(key.certificate_pem);
        auto const own = crypto::private_key::from_pem(key.key_pem);
        char const* wrong = !certificate                           ? "a certificate that cannot be read"
                            : !own                                 ? "a private key that cannot be read"
                            : !crypto::is_pair(*certificate, *own) ? "the private key of another certificate"
                                                                   : nullptr;
        if (wrong)
            out.push_back({s.file, 0, 0,
                s.entra.source == config::key_source::certificate ? "entra.certificate_key_file" : "entra.key_file",
                fmt::format("expected a certificate and its private key, got {}", wrong)});
    }
    if (auto wrong = service::check_authority_files(s, system_clock().now())) out.push_back(std::move(*wrong));
    return out;
}

}  // namespace

http::tls_identity public_identity(config::settings const& s) {
    return {.certificate_pem = s.server.certificate_pem, .key_pem = s.server.key_pem};
}

http::tls_identity admin_identity(config::settings const& s) {
    return {.certificate_pem = s.admin.certificate_pem, .key_pem = s.admin.key_pem};
}

http::transport way_out(config::settings const& s, std::stop_token stop) {
    std::optional<http::proxy> proxy;
    if (auto const& p = s.entra.proxy) proxy = http::proxy{p->host, p->port, p->credentials};
    auto const client = std::make_shared<http::client>(http::client_options{.extra_roots_pem = s.entra.ca_pem,
        .proxy = std::move(proxy),
        .user_agent = "mdmd/" MDMD_VERSION,
        .stop = std::move(stop)});
    return [client](http::call const& c) { return client->send(c); };
}

config::environment environment_of_service() {
    auto env = config::from_process();
    constexpr char const* of_service = "/run/credentials/mdmd.service";
    std::error_code ignored;
    if (env.credentials_directory.empty() && std::filesystem::exists(of_service, ignored))
        env.credentials_directory = of_service;
    return env;
}

bool unconfigured(std::filesystem::path const& config_file) {
    std::error_code ignored;
    if (!std::filesystem::exists(config_file, ignored)) return true;
    std::ifstream in(config_file);
    std::string const text{std::istreambuf_iterator<char>(in), {}};
    return text.find("tenant_id: <tenant ID>") != text.npos;
}

loaded_configuration load_configuration(std::filesystem::path const& file, config::environment const& env) {
    auto settings = config::load_settings(file, env);
    loaded_configuration got{nullptr, std::move(settings.problems), std::move(settings.warnings), {}};
    if (!settings.value) return got;
    got.problems = check_files(*settings.value);
    auto policies = config::load_policies(settings.value->policies_dir);
    got.problems.insert(got.problems.end(), policies.problems.begin(), policies.problems.end());
    if (policies.value)
        for (auto& one : catalogue::check(*policies.value))
            (one.error ? got.refusable : got.warnings).push_back(std::move(one.what));
    if (policies.value)
        for (auto& one : compliance::contradictions(*policies.value)) got.warnings.push_back(std::move(one));
    if (policies.value) {
        // Kept for the next reload: a package of gigabytes is hashed once.
        static service::package_digests digests;
        auto wrong = service::complete_apps(*settings.value, *policies.value, digests);
        got.problems.insert(got.problems.end(), wrong.begin(), wrong.end());
    }
    auto texts = service::compile_texts(*settings.value);
    auto const& folder = settings.value->terms.directory;
    for (auto& p : texts.problems)
        got.problems.push_back(
            {folder / p.path, p.line, p.column, "", std::move(p.text), (folder.filename() / p.path).string()});
    if (!got.problems.empty()) return got;
    got.value = service::ready({std::move(*settings.value), std::move(*policies.value), std::move(texts.value)});
    return got;
}

}  // namespace mdmd::daemon
