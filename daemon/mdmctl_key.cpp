// mdmctl key: the application's keys, their proof, and the change from one to the next.
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <thread>

#include "config/load.hpp"
#include "core/text.hpp"
#include "daemon/configuration.hpp"
#include "daemon/mdmctl.hpp"
#include "daemon/mdmctl_files.hpp"

namespace mdmd::ctl {
namespace {

void print_key(char const* title, json::object const& k) {
    if (k.at("state").is_null() && k.at("error").is_null()) {
        fmt::print("{:<8} none\n", title);
        return;
    }
    auto const state = k.at("state").is_null() ? std::string("cannot be used") : show(k, "state");
    fmt::print("{:<8} {} ({} from {}), {}\n", title, state, k.at("kind").is_null() ? "key" : show(k, "kind"),
        show(k, "source"), show_end(k));
    if (k.at("error").is_null()) return;
    auto const& e = k.at("error").as_object();
    fmt::print("         {}{}. {}\n", e.at("code").is_null() ? "" : fmt::format("AADSTS{}: ", show(e, "code")),
        show(e, "meaning"), show(e, "remedy"));
}

void print_keys(json::value const& v) {
    auto const& o = v.as_object();
    print_key("current", o);
    print_key("next", o.at("next").as_object());
    fmt::print("in use   {}\n", show(o, "in_use"));
    if (!o.at("end_problem").is_null()) fmt::print("the end cannot be read from Graph: {}\n", show(o, "end_problem"));
}

// 0 where Entra takes the key in use.
int verdict(json::value const& v) {
    auto const& o = v.as_object();
    auto const& used = o.at("in_use") == "next" ? o.at("next").as_object() : o;
    return used.at("state") == "ok" && used.at("error").is_null() ? 0 : 1;
}

void print(command_line const& line, json::value const& v) {
    if (line.as_json)
        fmt::print("{}\n", json::serialize(v));
    else
        print_keys(v);
}

// With the owner, group and mode of the file that is replaced.
void replace_file(std::filesystem::path const& file, std::string_view content) {
    struct stat old {};
    if (::stat(file.c_str(), &old) != 0) failed(file, "cannot be looked at");
    new_file(file, old.st_mode & 07777, content, {old.st_uid, old.st_gid}).move_to_place(true);
}

// Asked before anything is changed. Files are replaced whole: it is their folder that must be writable.
void may_replace(std::filesystem::path const& file) {
    if (::access(file.parent_path().c_str(), W_OK | X_OK) != 0)
        failed(file.parent_path(), "files in this folder cannot be replaced by this user");
}

config::settings load(command_line const& line) {
    if (!line.socket.empty())
        throw refused("the files to change are those of --config: name the daemon by it, not by --socket");
    auto loaded = config::load_settings(line.config_file, daemon::environment_of_service());
    if (!loaded.value) throw refused(loaded.problems.front().line_text());
    return std::move(*loaded.value);
}

// What must be done in the files so that the next key is the current one after a restart too; done by `now`, called
// once the daemon uses the key. Throws where it cannot be done.
struct files_plan {
    std::function<void()> now;
    std::string by_hand;  // what is left to the administrator; empty: nothing
};

files_plan plan_files(config::settings const& s) {
    auto const& e = s.entra;
    auto const by_hand = [](std::string what) { return files_plan{[] {}, std::move(what)}; };
    if (e.next_key_file.empty())
        return by_hand(
            "The next key comes from systemd: make it the credential entra-key in the unit, and restart mdmd.");
    auto const next = config::read_credential(e.next_key_file);
    if (!next) throw refused("entra.next_key_file: " + next.error().detail);
    switch (e.source) {
        case config::key_source::file:
            may_replace(e.key_file);
            may_replace(e.next_key_file);
            return {[e, key = *next] {
                        if (::rename(e.next_key_file.c_str(), e.key_file.c_str()) == 0) return;
                        if (errno != EXDEV) failed(e.next_key_file, "cannot be moved to entra.key_file");
                        auto content = key.is_certificate() ? key.certificate_pem : std::string();
                        content += key.is_certificate() ? key.key_pem.reveal() : key.text.reveal();
                        replace_file(e.key_file, content);
                        wipe(content);
                        if (::unlink(e.next_key_file.c_str()) != 0) failed(e.next_key_file, "cannot be removed");
                    },
                ""};
        case config::key_source::certificate:
            if (!next->is_certificate())
                throw refused(fmt::format(
                    "the next key is a client secret, the current one a certificate: in {} put `key_file: {}` in place "
                    "of certificate_file and certificate_key_file, take next_key_file out, and reload mdmd",
                    s.file.string(), e.next_key_file.string()));
            for (auto const* file : {&e.certificate_key_file, &e.certificate_file, &e.next_key_file})
                may_replace(*file);
            return {[e, key = *next] {
                        replace_file(e.certificate_key_file, key.key_pem.reveal());
                        replace_file(e.certificate_file, key.certificate_pem);
                        if (::unlink(e.next_key_file.c_str()) != 0) failed(e.next_key_file, "cannot be removed");
                    },
                ""};
        case config::key_source::inline_value:
            return by_hand(
                fmt::format("In {} put `key_file: {}` in place of `key`, take next_key_file out, and reload mdmd.",
                    s.file.string(), e.next_key_file.string()));
        case config::key_source::systemd_credential:
            return by_hand(
                fmt::format("Make {} the systemd credential entra-key, and restart mdmd.", e.next_key_file.string()));
    }
    return {};
}

int promote(command_line const& line) {
    auto const settings = load(line);
    auto const plan = plan_files(settings);
    auto daemon = line.daemon();
    auto shown = daemon.post("/key/promote", json::object{});
    try {
        plan.now();
    } catch (refused const& e) {
        throw refused(fmt::format(
            "the next key is in use until mdmd is restarted, but {} could not take the current one's place: "
            "{}; mend that, and run `mdmctl key promote` again",
            settings.entra.next_key_file.string(), e.what()));
    }
    if (plan.by_hand.empty()) {
        daemon.post("/reload", json::object{});
        // The daemon takes a new configuration within two seconds; what it says after that is what holds.
        for (int tries = 0; tries < 50 && shown.at("in_use") != "current"; ++tries) {
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
            shown = daemon.get("/key");
        }
        if (shown.at("in_use") != "current")
            throw refused("the next key is in use, but mdmd has not taken the changed files: see its journal");
    }
    shown.as_object()["to_do"] = plan.by_hand.empty() ? json::value(nullptr) : json::value(plan.by_hand);
    print(line, shown);
    if (!line.as_json && !plan.by_hand.empty()) fmt::print("\n{}\n", plan.by_hand);
    return verdict(shown);
}

}  // namespace

void add_key(CLI::App& app, command_line& line) {
    auto* key = app.add_subcommand("key", "The application's key for Entra ID, and its successor");
    key->require_subcommand(1);
    auto const on = [&](char const* name, char const* what, auto run) {
        key->add_subcommand(name, what)->callback([&line, run] { line.run = [&line, run] { return run(line); }; });
    };
    on("status", "What the keys are, whether Entra takes them, and when they end", [](command_line const& l) {
        print(l, l.daemon().get("/key"));
        return 0;
    });
    on("test", "Try the keys against the tenant now; exit code 1 where the one in use is refused",
        [](command_line const& l) {
            auto const got = l.daemon().post("/key/test", json::object{});
            print(l, got);
            return verdict(got);
        });
    on("promote", "Make the next key the current one: try it, use it, move its file", promote);
}

}  // namespace mdmd::ctl
