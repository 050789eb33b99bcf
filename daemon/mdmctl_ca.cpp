// mdmctl ca: the device authority, which issues the certificates by which devices are known.
#include <memory>

#include "daemon/mdmctl.hpp"

namespace mdmd::ctl {
namespace {

json::object const& current_of(json::value const& v) {
    for (auto const& one : v.at("value").as_array())
        if (one.at("current") == true) return one.as_object();
    throw refused("mdmd's answer names no current authority");
}

void print_authority(json::value const& v) {
    bool first = true;
    for (auto const& one : v.at("value").as_array()) {
        auto const& g = one.as_object();
        auto const& root = g.at("root").as_object();
        if (!first) fmt::print("\n");
        first = false;
        fmt::print("{}\n", show(g, "subject"));
        fmt::print("    {}, {}, {}, {}\n",
            g.at("current") == true ? "current"
            : g.at("valid") == true ? "trusted"
            : g.at("ended") == true ? "ended"
                                    : "not needed",
            show(g, "origin"), show(g, "key_type"),
            g.at("devices") == 1 ? std::string("1 device") : show(g, "devices") + " devices");
        fmt::print("    from {} to {}\n", show(g, "from"), show(g, "to"));
        fmt::print("    serial {}\n    SHA-256 {}\n", show(g, "serial"), show(g, "fingerprint"));
        fmt::print("    root {}, {}, to {}\n    SHA-256 {}\n", show(root, "subject"), show(root, "key_type"),
            show(root, "to"), show(root, "fingerprint"));
    }
    fmt::print("\nA new one should issue from {} at the latest: device certificates are shortened after that.\n",
        show(v.at("roll_over_by")));
}

}  // namespace

void add_ca(CLI::App& app, command_line& line) {
    struct arguments {
        bool root = false, issuing = false, chain = false;
    };
    auto const a = std::make_shared<arguments>();
    auto const on = [&line](CLI::App* verb, auto ask, auto print) { asks(line, verb, ask, print); };
    auto* ca = app.add_subcommand("ca", "The device authority");
    ca->require_subcommand(1);
    on(
        ca->add_subcommand("show", "Every issuing certificate, its root, and how many devices hang on it"),
        [](daemon_connection& c) { return c.get("/authority"); }, print_authority);

    auto* save = ca->add_subcommand("export", "Print certificates of the current authority as PEM; never a key");
    auto* const root = save->add_flag("--root", a->root, "The root alone");
    auto* const issuing = save->add_flag("--issuing", a->issuing, "The issuing certificate alone");
    auto* const chain = save->add_flag("--chain", a->chain, "The issuing certificate, then the root (default)");
    root->excludes(issuing)->excludes(chain);
    issuing->excludes(chain);
    on(
        save,
        [a](daemon_connection& c) {
            auto const v = c.get("/authority");
            auto const& g = current_of(v);
            std::string pem;
            if (!a->root) pem += std::string(g.at("pem").as_string());
            if (!a->issuing) pem += std::string(g.at("root").at("pem").as_string());
            return json::value{{"pem", pem}};
        },
        [](json::value const& v) { fmt::print("{}", std::string(v.at("pem").as_string())); });

    on(
        ca->add_subcommand("rollover", "Issue by a new certificate from now on; the one before stays trusted"),
        [](daemon_connection& c) { return c.post("/authority/rollover", json::object{}); },
        [](json::value const& v) {
            auto const& g = current_of(v);
            fmt::print(
                "{} issues from now on ({}), until {}.\nDevices get a certificate of it when they renew theirs; "
                "what was issued before stays good.\n",
                show(g, "subject"), show(g, "key_type"), show(g, "to"));
        });
}

}  // namespace mdmd::ctl
