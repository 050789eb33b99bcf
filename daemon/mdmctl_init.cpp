// mdmctl init: the first config.yaml, from what the Entra portal gives.
#include <fcntl.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <optional>
#include <system_error>

#include "config/load.hpp"
#include "core/text.hpp"
#include "daemon/configuration.hpp"
#include "daemon/mdmctl.hpp"
#include "daemon/mdmctl_files.hpp"

namespace mdmd::ctl {
namespace {

namespace fs = std::filesystem;

struct given {
    std::string directory, tenant_id, client_id, app_id, key, key_file, host, cloud, tls_certificate, tls_key;
    int management_port = 8443;
    bool force = false;
    CLI::Option const* config_option = nullptr;  // was --config given?
};

// A YAML text in double quotes.
std::string yaml_text(std::string_view text) {
    std::string out = "\"";
    for (char const c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) < 0x20)
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        else
            out += c;
    }
    return out + "\"";
}

// Why the configuration would not take this value for "section.key"; empty: it takes it.
std::string objection(std::string_view key, std::string const& value) {
    auto const dot = key.find('.');
    // Without quotes where it can stand so: what is refused is then shown as it was given.
    bool const plain = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '/';
    });
    auto const yaml =
        fmt::format("{}:\n  {}: {}\n", key.substr(0, dot), key.substr(dot + 1), plain ? value : yaml_text(value));
    for (auto const& p : config::parse_settings(yaml, "config.yaml", {}).problems)
        if (p.key == key && p.line == 2) return p.text;
    return {};
}

std::string object_to_guid(std::string_view key, std::string const& value) {
    return value.empty() ? "expected a GUID, got nothing" : objection(key, value);
}

std::string object_to_host(std::string const& value) {
    if (value.find("://") != value.npos || value.find_first_of("/:?#@ ") != value.npos)
        return fmt::format("expected a host name alone such as mdm.contoso.com, without https:// and port, got '{}'",
            printable(value, 200));
    return objection("server.public_url", "https://" + value);
}

// Never shows any of it.
std::string object_to_key(std::string const& value) {
    if (is_guid(value))
        return "this looks like the secret's ID, not its value: the portal shows the value once, when the secret is made";
    bool const plain = std::all_of(value.begin(), value.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    return value.empty() ? "expected the key, got nothing"
           : plain       ? ""
                         : "expected one line of printable ASCII without blanks";
}

// --- Asking -----------------------------------------------------------------------------------------------------

volatile std::sig_atomic_t interrupted = 0;

// While it lives, an interrupt ends the reading instead of the program, which would leave the terminal silent.
class interrupt_guard {
public:
    interrupt_guard() {
        interrupted = 0;
        struct sigaction mine {};
        mine.sa_handler = [](int) { interrupted = 1; };
        ::sigaction(SIGINT, &mine, &before_);
    }
    interrupt_guard(interrupt_guard const&) = delete;
    interrupt_guard& operator=(interrupt_guard const&) = delete;
    ~interrupt_guard() { ::sigaction(SIGINT, &before_, nullptr); }

private:
    struct sigaction before_ {};
};

// Standard input, line by line and unbuffered, so that a secret stays in no buffer of ours.
class asker {
public:
    bool terminal() const { return terminal_; }

    // nullopt at the end of standard input.
    std::optional<std::string> line() {
        std::string text;
        text.reserve(4096);
        for (char c = 0;;) {
            auto const n = ::read(0, &c, 1);
            if (n < 0 && errno == EINTR && interrupted == 0) continue;
            if (n <= 0 && text.empty()) return std::nullopt;
            if (n <= 0 || c == '\n') break;
            if (text.size() >= 65536) throw refused("the answer is too long");
            text += c;
        }
        if (text.ends_with('\r')) text.pop_back();
        return text;
    }
    std::optional<std::string> hidden_line() {
        if (!terminal_) return line();
        termios before{};
        if (::tcgetattr(0, &before) != 0) return line();
        interrupt_guard const guard;
        auto silent = before;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        ::tcsetattr(0, TCSAFLUSH, &silent);
        auto text = line();
        ::tcsetattr(0, TCSAFLUSH, &before);
        fmt::print(stderr, "\n");
        if (interrupted != 0) throw refused("given up: nothing was written");
        return text;
    }
    std::string all() {
        std::string text;
        for (char piece[4096];;) {
            auto const n = ::read(0, piece, sizeof piece);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) break;
            text.append(piece, static_cast<std::size_t>(n));
            if (text.size() > 1024 * 1024) throw refused("the key is too long");
        }
        return text;
    }

private:
    bool const terminal_ = ::isatty(0) == 1;
};

struct question {
    char const* option;
    std::string text;
    std::string fallback;  // what an empty answer means; empty: there has to be one
    std::function<std::string(std::string const&)> objection;
    bool hidden = false;
};

// The answer, checked; nullopt at the end of standard input.
std::optional<std::string> ask(asker& in, question const& q) {
    constexpr int most_tries = 3;
    for (int tries = 1;; ++tries) {
        if (in.terminal())
            fmt::print(stderr, "{}{}: ", q.text, q.fallback.empty() ? "" : fmt::format(" [{}]", q.fallback));
        auto got = q.hidden ? in.hidden_line() : in.line();
        if (!got) return q.fallback.empty() ? std::nullopt : std::optional(q.fallback);
        auto answer = std::string(trim(*got));
        wipe(*got);
        if (answer.empty()) answer = q.fallback;
        auto const why = q.objection(answer);
        if (why.empty()) return answer;
        wipe(answer);
        if (!in.terminal() || tries == most_tries) throw wrong_usage(fmt::format("--{}: {}", q.option, why));
        fmt::print(stderr, "  {}\n", why);
    }
}

struct answers {
    std::string tenant_id, client_id, host, app_id;
    secret key;
};

answers collect(given const& o) {
    asker in;
    answers out;
    out.host = o.host;
    std::vector<std::string> missing;
    // An answer that was given as an option, or is asked for.
    auto const settle = [&](std::string const& option_value, question const& q) -> std::string {
        if (!option_value.empty()) {
            if (auto const why = q.objection(option_value); !why.empty())
                throw wrong_usage(fmt::format("--{}: {}", q.option, why));
            return option_value;
        }
        // The key comes on standard input: nothing else can.
        auto got = o.key_file == "-" ? (q.fallback.empty() ? std::nullopt : std::optional(q.fallback)) : ask(in, q);
        if (!got) missing.push_back(fmt::format("--{}", q.option));
        return got.value_or("");
    };
    out.tenant_id = lower(settle(o.tenant_id, {"tenant-id", "Directory (tenant) ID", "",
                                                  [](auto const& v) { return object_to_guid("entra.tenant_id", v); }}));
    out.client_id = lower(settle(o.client_id, {"client-id", "Application (client) ID", "",
                                                  [](auto const& v) { return object_to_guid("entra.client_id", v); }}));
    out.host = lower(settle(o.host, {"host", "Host name of this server, as devices find it", "", object_to_host}));
    out.app_id = settle(o.app_id, {"app-id", "Application ID URI", out.host.empty() ? "" : "https://" + out.host,
                                      [](auto const& v) { return objection("entra.app_id", v); }});
    if (!o.key_file.empty() && o.key_file != "-") {
        out.key = secret();  // read, and judged, from its file
    } else if (o.key_file == "-" && missing.empty()) {
        auto text = in.terminal() ? in.hidden_line().value_or("") : in.all();
        if (text.find("-----BEGIN ") == text.npos) {
            auto line = std::string(trim(text));
            wipe(text);
            if (auto const why = object_to_key(line); !why.empty()) throw wrong_usage("--key-file: " + why);
            text = std::move(line);
        }
        out.key = secret(std::move(text));
    } else if (o.key_file.empty()) {
        auto text = settle(o.key, {"key", "Client secret (its value; it is not shown)", "", object_to_key, true});
        out.key = secret(std::move(text));
    }
    if (!missing.empty())
        throw wrong_usage(fmt::format("missing: {} (give {} as options, or answer on a terminal)",
            fmt::join(missing, ", "), missing.size() == 1 ? "it" : "them"));
    return out;
}

// --- Writing ----------------------------------------------------------------------------------------------------

// The daemon's user, where there is one and we may give files away.
owner daemon_owner() {
    if (::geteuid() != 0) return {};
    auto const* const user = ::getpwnam("mdmd");
    return user ? owner{user->pw_uid, user->pw_gid} : owner{};
}

void make_folder(fs::path const& folder, owner const& whose) {
    std::error_code failure;
    if (fs::is_directory(folder, failure)) return;
    if (folder.has_parent_path() && folder.parent_path() != folder) {
        fs::create_directories(folder.parent_path(), failure);
        if (failure) throw refused(fmt::format("{}: {}", folder.parent_path().string(), failure.message()));
    }
    if (::mkdir(folder.c_str(), 0750) != 0 && errno != EEXIST) failed(folder, "cannot be made");
    if (whose.user != static_cast<uid_t>(-1) && ::chown(folder.c_str(), whose.user, whose.group) != 0)
        failed(folder, "cannot be given to mdmd");
}

// `key` is the path of the key file as config.yaml names it.
std::string render(given const& o, answers const& a, std::string const& key) {
    auto const cloud = o.cloud.empty() || o.cloud == "global" ? std::string("  #cloud: global\n")
                                                              : fmt::format("  cloud: {}\n", o.cloud);
    return fmt::format(
        R"(# The configuration of mdmd. Lines that begin with "#" and a key show the default, or an example where they say so;
# docs/settings.md describes all keys. `mdmd --check-config` names every mistake with its place, `mdmctl doctor` tries it
# all out. Durations are written 30s, 15m, 8h, 90d. A relative path starts at this file's folder.

entra:
  # The tenant and the application that stands for this server in it ("On-premises MDM application").
  tenant_id: {tenant}
  client_id: {client}
  # The application ID URI: the audience of the tokens that devices bring.
  app_id: {app_id}
  # The application's key: a client secret alone, or PEM with a certificate and its private key. Nobody but mdmd and its
  # group may read this file.
  key_file: {key}
  # The key that comes next: it is proven and used once the file is there.
  #next_key_file: entra.next.key         # example
  # When the key ends, where Graph does not tell.
  #key_expires: 2027-06-30               # example
  # global, usgov (GCC High), usgov-dod or china.
{cloud}  # The HTTP proxy to login and Graph, and a file with one line user:password for it (chmod 640).
  #proxy: http://proxy.contoso.com:3128  # example
  #proxy_credentials_file: proxy.credentials   # example
  # Trust roots for login and Graph besides the system's own, where a proxy looks into TLS.
  #ca_file: proxy-root.crt               # example

server:
  # Where Windows finds Terms of Use, discovery and enrollment.
  public_url: {public_url}
  # Where devices come for management, with their certificates.
  management_url: {management_url}
  #listen: 0.0.0.0:443
  management_listen: 0.0.0.0:{port}
  # PEM: the certificate with its chain, and its private key (chmod 640).
  tls_certificate: {tls_certificate}
  tls_key: {tls_key}

admin:
  # Where mdmctl talks to the daemon; for root and the group mdmd.
  #socket: /run/mdmd/admin.sock
  # /healthz and /readyz.
  #listen: 127.0.0.1:8080

storage:
  #path: /var/lib/mdmd/mdmd.db

terms:
  # Whether a user has to accept the Terms of Use before the device may enroll.
  #required: true

enrollment:
  #enabled: true
  # Devices that belong to their users: allow or block.
  #personal_devices: allow
  #min_os_version: 10.0.19045            # example
  #max_devices_per_user: 15

management:
  # How often devices check in after a quick first hour.
  #poll: 8h

# How long before the key or a certificate ends a reminder is given.
#key_reminders: [60d, 30d, 14d, 7d, 3d, 1d]

notify:
  # A program that gets each reminder as one JSON object on standard input.
  #command: hooks/notify                 # example

# The folder of the policies: every *.yaml in it is one.
#policies_dir: policies.d

log:
  # trace, debug, info, warning or error.
  #level: info
)",
        fmt::arg("tenant", a.tenant_id), fmt::arg("client", a.client_id), fmt::arg("app_id", yaml_text(a.app_id)),
        fmt::arg("key", yaml_text(key)), fmt::arg("cloud", cloud), fmt::arg("public_url", "https://" + a.host),
        fmt::arg("management_url",
            "https://" + a.host + (o.management_port == 443 ? "" : fmt::format(":{}", o.management_port))),
        fmt::arg("port", o.management_port), fmt::arg("tls_certificate", yaml_text(o.tls_certificate)),
        fmt::arg("tls_key", yaml_text(o.tls_key)));
}

// What the configuration's own reader says of it. What has to do with the TLS files alone is left to do; anything else
// throws, but that there is no key file where that is not written yet.
std::vector<std::string> verify(std::string const& yaml, fs::path const& file, bool with_key) {
    std::vector<std::string> to_do;
    for (auto const& p : config::parse_settings(yaml, file, {}).problems) {
        if (p.key == "server.tls_certificate" || p.key == "server.tls_key")
            to_do.push_back(fmt::format("{}: {}", p.key, p.text));
        else if (p.key != "entra.key_file")
            throw wrong_usage(fmt::format("{}: {}", p.key, p.text));
        else if (with_key)
            throw wrong_usage(fmt::format("the key: {}", p.text));
    }
    return to_do;
}

int init(command_line const& line, given o) {
    ::prctl(PR_SET_DUMPABLE, 0);  // keys are in this process's memory: it leaves no core behind
    bool const config_named = o.config_option && o.config_option->count() > 0;
    fs::path const file = fs::absolute(
        config_named || o.directory.empty() ? fs::path(line.config_file) : fs::path(o.directory) / "config.yaml")
                              .lexically_normal();
    fs::path const folder = o.directory.empty() ? file.parent_path() : fs::absolute(o.directory).lexically_normal();
    auto const key_place = (folder / "entra.key").lexically_normal();
    std::error_code ignored;
    bool const key_is_there =
        !o.key_file.empty() && o.key_file != "-" && fs::equivalent(o.key_file, key_place, ignored);
    bool const had_config = fs::exists(file, ignored), had_key = fs::exists(key_place, ignored);
    bool const as_installed = daemon::unconfigured(file);
    if (!o.force && (!as_installed || (had_key && !key_is_there)))
        throw refused(fmt::format("{} is there already: nothing was changed (--force replaces it{})",
            (as_installed ? key_place : file).string(), as_installed ? "" : ", and keeps it as config.yaml.bak"));

    auto answers = collect(o);
    std::string key_text;
    if (!o.key_file.empty() && o.key_file != "-") {
        auto const read = config::read_credential(o.key_file);
        if (!read) throw wrong_usage("--key-file: " + read.error().detail);
        if (!read->is_certificate())
            if (auto const why = object_to_key(std::string(read->text.reveal())); !why.empty())
                throw wrong_usage("--key-file: " + why);
        answers.key =
            read->is_certificate() ? secret(read->certificate_pem + std::string(read->key_pem.reveal())) : read->text;
    }

    auto const key_name = folder == file.parent_path() ? std::string("entra.key") : key_place.string();
    auto const yaml = render(o, answers, key_name);
    static_cast<void>(verify(yaml, file, false));
    auto const whose = daemon_owner();
    make_folder(folder, whose);
    make_folder(file.parent_path(), whose);
    make_folder(file.parent_path() / "policies.d", whose);
    std::string content;
    content.reserve(answers.key.reveal().size() + 1);  // taken once: no copy of the key stays behind
    content.append(answers.key.reveal());
    if (!content.ends_with('\n')) content += '\n';
    new_file key(key_place, 0600, content, whose);
    wipe(content);
    auto const to_do_tls = verify(render(o, answers, key.path().string()), file, true);
    new_file config(file, 0640, yaml, whose);

    if (!as_installed) {
        auto const backup = fs::path(file.string() + ".bak");
        ::unlink(backup.c_str());
        if (::link(file.c_str(), backup.c_str()) != 0) failed(backup, "cannot be made");
    }
    key.move_to_place(had_key);
    config.move_to_place(had_config);
    fs::remove(file.parent_path() / daemon::unconfigured_mark, ignored);

    auto const origin = "https://" + answers.host;
    std::vector<std::pair<char const*, std::string>> const urls{{"terms_of_use", origin + "/TermsOfUse"},
        {"discovery", origin + "/EnrollmentServer/Discovery.svc"}, {"compliance", origin + "/compliance"}};
    std::vector<std::string> to_do{
        "In the Entra admin center, Mobility (MDM and WIP), the application: enter the three URLs.",
        fmt::format("In the application's registration, Expose an API: the Application ID URI is {}.", answers.app_id)};
    for (auto const& t : to_do_tls) to_do.push_back(t);
    to_do.emplace_back("mdmctl doctor");
    to_do.emplace_back("systemctl enable --now mdmd");
    if (line.as_json) {
        json::object shown;
        for (auto const& [name, url] : urls) shown[name] = url;
        fmt::print("{}\n", json::serialize(json::object{{"config", file.string()}, {"key_file", key_place.string()},
                               {"app_id", answers.app_id}, {"urls", std::move(shown)},
                               {"to_do", json::array(to_do.begin(), to_do.end())}}));
        return 0;
    }
    fmt::print("Written: {} and {}\n\nEnter in the portal, Mobility (MDM and WIP), the application:\n", file.string(),
        key_place.string());
    fmt::print("  MDM terms of use URL  {}\n  MDM discovery URL     {}\n  MDM compliance URL    {}\n", urls[0].second,
        urls[1].second, urls[2].second);
    fmt::print("and in its registration, Expose an API:\n  Application ID URI    {}\n\nNext:\n", answers.app_id);
    for (std::size_t i = 2; i < to_do.size(); ++i) fmt::print("  {}\n", to_do[i]);
    return 0;
}

}  // namespace

void add_init(CLI::App& app, command_line& line) {
    auto const o = std::make_shared<given>();
    auto* c = app.add_subcommand("init", "Write config.yaml and the key file from what the Entra portal gives");
    o->config_option = app.get_option("--config");
    c->add_option("--directory", o->directory, "Where the files go (default: the folder of --config)");
    c->add_option("--tenant-id", o->tenant_id, "Directory (tenant) ID");
    c->add_option("--client-id", o->client_id, "Application (client) ID");
    c->add_option("--app-id", o->app_id, "Application ID URI (default: https://HOST)");
    auto* key = c->add_option("--key", o->key, "The client secret; others on this machine can see it while this runs");
    c->add_option("--key-file", o->key_file, "A file with the client secret, or PEM; - for standard input")
        ->excludes(key);
    c->add_option("--host", o->host, "This server's host name, as devices find it");
    c->add_option("--management-port", o->management_port, "Port of the management address")
        ->check(CLI::Range(1, 65535))
        ->capture_default_str();
    c->add_option("--cloud", o->cloud, "global, usgov, usgov-dod or china")
        ->check(CLI::IsMember({"global", "usgov", "usgov-dod", "china"}));
    o->tls_certificate = "tls/server.crt";
    o->tls_key = "tls/server.key";
    c->add_option("--tls-certificate", o->tls_certificate,
         "PEM with the certificate and its chain; a relative path starts at config.yaml's folder")
        ->capture_default_str();
    c->add_option("--tls-key", o->tls_key, "PEM with its private key")->capture_default_str();
    c->add_flag("--force", o->force, "Replace what is there; the old config.yaml is kept as config.yaml.bak");
    c->callback([&line, o] {
        line.run = [&line, o] {
            try {
                return init(line, *o);
            } catch (wrong_usage const& e) {
                fmt::print(stderr, "mdmctl: {}\n", e.what());
                return 2;
            }
        };
    });
}

}  // namespace mdmd::ctl
