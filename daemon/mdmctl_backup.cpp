// mdmctl backup, restore: the database as one file, and back. Neither asks the daemon: who may read the database may
// copy it.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cstdio>
#include <optional>

#include "backup/backup.hpp"
#include "config/admin_socket.hpp"
#include "config/files.hpp"
#include "core/text.hpp"
#include "daemon/mdmctl.hpp"
#include "daemon/mdmctl_files.hpp"
#include "store/connection.hpp"
#include "version.hpp"

namespace mdmd::ctl {
namespace {

namespace fs = std::filesystem;

struct arguments {
    std::string file, directory, passphrase_file;
    std::size_t keep = 0;  // 0: all
    bool check = false;
};

fs::path database_of(command_line const& line) {
    auto const found = config::database_file(line.config_file);
    if (!found) throw refused(found.error().detail);
    return *found;
}

secret passphrase_of(arguments const& a) {
    if (a.passphrase_file.empty()) return {};
    auto got = config::read_passphrase(a.passphrase_file);
    if (!got) throw refused(fmt::format("{}: {}", a.passphrase_file, got.error().detail));
    return std::move(*got);
}

std::string host_name() {
    char name[256] = {};
    ::gethostname(name, sizeof name - 1);
    return name;
}

// "20261127T200000Z"
std::string in_name(time_point at) {
    std::string out;
    for (char const c : rfc3339(std::chrono::floor<std::chrono::seconds>(at)))
        if (c != '-' && c != ':') out += c;
    return out;
}

// Those that `backup --directory` makes, "mdmd-20261127T200000Z.backup", newest first.
std::vector<fs::path> dated_backups(fs::path const& folder) {
    constexpr std::string_view form = "mdmd-ddddddddTddddddZ.backup";
    std::vector<fs::path> all;
    for (auto const& one : fs::directory_iterator(folder)) {
        auto const name = one.path().filename().string();
        if (one.is_regular_file() && name.size() == form.size() &&
            std::equal(name.begin(), name.end(), form.begin(),
                [](char got, char want) { return want == 'd' && got != 'd' ? got >= '0' && got <= '9' : got == want; }))
            all.push_back(one.path());
    }
    std::sort(all.rbegin(), all.rend());
    return all;
}

// A name for the file that no other file has.
void name_it(store::file_beside& from, fs::path const& file) {
    // A link never takes the place of another file, but not every file system has links.
    if (::link(from.path().c_str(), file.c_str()) != 0) {
        if (errno != EPERM && errno != EOPNOTSUPP) failed(file, "cannot be written");
        if (::renameat2(AT_FDCWD, from.path().c_str(), AT_FDCWD, file.c_str(), RENAME_NOREPLACE) != 0)
            failed(file, "cannot be written");
        from.keep();
    }
    store::sync_folder_of(file);
}

int make(command_line const& line, arguments const& a) {
    ::prctl(PR_SET_DUMPABLE, 0);  // keys are in this process's memory: it leaves no core behind
    if (a.file.empty() == a.directory.empty()) throw wrong_usage("name either FILE or --directory");
    if (a.keep != 0 && a.directory.empty()) throw wrong_usage("--keep goes with --directory");
    auto const now = system_clock().now();
    auto const file = fs::absolute(
        a.file.empty() ? fs::path(a.directory) / fmt::format("mdmd-{}.backup", in_name(now)) : fs::path(a.file));
    if (fs::symlink_status(file).type() != fs::file_type::not_found)
        throw refused(fmt::format("{} is there already", file.string()));
    auto const database = database_of(line);
    if (!fs::exists(database)) throw refused(fmt::format("there is no {}", database.string()));
    auto const passphrase = passphrase_of(a);

    store::file_beside to(file);
    auto const made = backup::write(database, to.get(), passphrase, {MDMD_VERSION, host_name(), now});
    if (!made) throw refused(fmt::format("{} is not backed up: {}", database.string(), made.error().detail));
    store::sync_file(to.path());
    name_it(to, file);

    std::size_t removed = 0;
    if (a.keep != 0) {
        auto const all = dated_backups(a.directory);
        for (auto i = a.keep; i < all.size(); ++i)
            removed += all[i].filename() != file.filename() && fs::remove(all[i]) ? 1U : 0U;
    }
    auto const size = fs::file_size(file);
    if (line.as_json)
        fmt::print("{}\n", json::serialize(json::object{{"file", file.string()}, {"size", size},
                               {"encrypted", !passphrase.empty()}, {"schema", made->schema}, {"removed", removed}}));
    else
        fmt::print("{}: {} bytes, {}{}\n", file.string(), size,
            passphrase.empty() ? "not encrypted: whoever reads it has the device authority's key" : "encrypted",
            removed == 0 ? std::string() : fmt::format("; {} older removed", removed));
    return 0;
}

// Whose a database there has to be: as the one that is there, or as the folder.
owner owner_at(fs::path const& database, int existing) {
    struct stat s {};
    if (existing >= 0 && ::fstat(existing, &s) == 0 && s.st_size > 0) return {s.st_uid, s.st_gid};
    if (::stat(database.parent_path().c_str(), &s) != 0) failed(database.parent_path(), "cannot be read");
    return {s.st_uid, s.st_gid};
}

int put_back(command_line const& line, arguments const& a) {
    ::prctl(PR_SET_DUMPABLE, 0);
    auto const database = database_of(line);
    auto const passphrase = passphrase_of(a);
    descriptor const from(::open(a.file.c_str(), O_RDONLY | O_CLOEXEC));
    if (from.get() < 0) failed(a.file, "cannot be read");
    bool const there = fs::exists(database);
    std::optional<store::file_lock> lock;
    auto const take = [&] {
        try {
            lock.emplace(database, store::file_lock::kind::alone, std::chrono::milliseconds(0));
        } catch (store::store_error const& e) {
            throw refused(e.code == EWOULDBLOCK ? "mdmd runs: stop it first (systemctl stop mdmd)" : e.what());
        }
    };
    // Before the work, where it would be for nothing.
    if (there && !a.check) take();
    auto got = backup::unpack(from.get(), passphrase, database);
    if (!got) throw refused(fmt::format("{} is not restored, and nothing is changed: {}", a.file, got.error().detail));
    std::string aside;
    if (!a.check) {
        if (!there) take();
        auto const whose = owner_at(database, there ? lock->get() : -1);
        if (::fchmod(got->file->get(), 0600) != 0 ||
            (::geteuid() == 0 && ::fchown(got->file->get(), whose.user, whose.group) != 0))
            failed(got->file->path(), "cannot be given to its owner");
        if (there && fs::file_size(database) > 0)
            aside = fmt::format("{}.replaced-{}", database.string(), in_name(system_clock().now()));
        store::replace_database(got->file->path(), database, aside, *lock);
        got->file->keep();
    }
    auto const made = got->what ? rfc3339(got->what->made) : std::string();
    if (line.as_json) {
        auto const or_null = [](std::string const& s) { return s.empty() ? json::value(nullptr) : json::value(s); };
        fmt::print("{}\n", json::serialize(json::object{{"database", database.string()}, {"restored", !a.check},
                               {"made", or_null(made)}, {"host", or_null(got->what ? got->what->host : "")},
                               {"mdmd", or_null(got->what ? got->what->mdmd : "")}, {"schema", got->schema},
                               {"replaced", or_null(aside)}}));
        return 0;
    }
    fmt::print("{}: whole, schema version {}{}\n", a.file, got->schema,
        got->what ? fmt::format(", made {} on {} by mdmd {}", made, printable(got->what->host, 256),
                        printable(got->what->mdmd, 64))
                  : std::string());
    if (!a.check) fmt::print("{} is restored from it. Start mdmd.\n", database.string());
    if (!aside.empty())
        fmt::print("What was there is {}: it has the authority's key; remove it when all is well.\n", aside);
    return 0;
}

}  // namespace

void add_backup(CLI::App& app, command_line& line) {
    auto const a = std::make_shared<arguments>();
    auto* save = app.add_subcommand("backup", "One file with a consistent copy of all state, also while mdmd runs");
    save->add_option("FILE", a->file, "The new file; it must not be there yet")->check(not_empty());
    save->add_option("--directory", a->directory, "Name it by the time, in this folder: mdmd-20261127T200000Z.backup")
        ->check(CLI::ExistingDirectory);
    save->add_option("--keep", a->keep, "Of the files of --directory keep the newest so many, the new one too")
        ->check(CLI::Range(std::size_t{1}, std::size_t{100'000}));
    auto const passphrase = [&](CLI::App* verb, char const* what) {
        verb->add_option("--passphrase-file", a->passphrase_file, what)->check(not_empty());
    };
    passphrase(save, "Encrypt it with the passphrase that is the one line of this file");
    save->callback([&line, a] { line.run = [&line, a] { return make(line, *a); }; });

    auto* restore = app.add_subcommand("restore", "Put a backup in the place of the database, while mdmd is stopped");
    restore->add_option("FILE", a->file, "The backup, or a copy that mdmd kept before an upgrade (mdmd.db.schema-1)")
        ->required()
        ->check(not_empty());
    passphrase(restore, "The passphrase of an encrypted one");
    restore->add_flag("--check", a->check, "Go through all of it and change nothing; mdmd may run");
    restore->callback([&line, a] { line.run = [&line, a] { return put_back(line, *a); }; });
}

}  // namespace mdmd::ctl
