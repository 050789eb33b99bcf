// The store: many readers, one writer thread that gathers what is waiting into one durable transaction.
#pragma once
#include <condition_variable>
#include <deque>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <vector>

#include "store/connection.hpp"

namespace mdmd::store {

// What an engine must do besides running statements; SQLite's is in sqlite.cpp.
class engine {
public:
    virtual ~engine() = default;
    virtual std::unique_ptr<connection> connect(bool read_only) = 0;
    // What was overwritten or removed is in the engine's files no more, as far as that can be had now.
    virtual void forget_history() = 0;
    virtual void migrate() = 0;  // brings the schema to this program's version; refuses a newer one
};
std::unique_ptr<engine> sqlite_engine(std::filesystem::path const& file);

class database {
public:
    explicit database(std::unique_ptr<engine>);
    database(database const&) = delete;
    database& operator=(database const&) = delete;
    ~database();

    // Runs `change` in the writer's transaction and returns when it is durable: after that, no crash and no power
    // cut undoes it. A `change` that throws leaves nothing behind, whatever else was in the same transaction. It
    // runs on the writer's thread while the caller waits. Throws what `change` threw, or store_error if the commit
    // failed: the outcome is then unknown until the store is read again.
    template <class F> auto write(F change) -> std::invoke_result_t<F&, connection&> {
        using value = std::invoke_result_t<F&, connection&>;
        if constexpr (std::is_void_v<value>) {
            submit([&](connection& c) { change(c); });
        } else {
            std::optional<value> got;
            submit([&](connection& c) { got.emplace(change(c)); });
            return std::move(*got);
        }
    }

    // Runs `look` on a consistent snapshot, on the caller's thread. It cannot write.
    template <class F> auto read(F look) -> std::invoke_result_t<F&, connection&> {
        reader const r(*this);
        return look(*r.conn);
    }

    // False from a commit that failed (disk full, I/O error) until the next that succeeds.
    bool healthy() const;
    // Writes something trivial, to find out whether writing works (again). Never throws.
    bool probe();
    // Keys that were replaced are gone from the disk, not only from the tables. Never throws: what fails is logged.
    void forget_history();

private:
    struct job {
        std::function<void(connection&)> change;
        std::promise<void> done;
        std::exception_ptr failure{};
    };
    struct reader {
        explicit reader(database&);
        reader(reader const&) = delete;
        reader& operator=(reader const&) = delete;
        ~reader();
        database& owner;
        std::unique_ptr<connection> conn;
    };
    void submit(std::function<void(connection&)>);
    void write_loop();
    void commit_batch(std::deque<job>&);

    std::unique_ptr<engine> engine_;
    std::unique_ptr<connection> writer_;
    mutable std::mutex mutex_;
    std::condition_variable work_;
    std::deque<job> queue_;
    std::vector<std::unique_ptr<connection>> idle_readers_;
    bool stopping_ = false;
    bool healthy_ = true;
    std::thread thread_;
};

}  // namespace mdmd::store
