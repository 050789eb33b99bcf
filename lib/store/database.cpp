#include "store/database.hpp"

#include "core/log.hpp"
#include "core/random.hpp"

#include <utility>

namespace mdmd::store {

database::database(std::unique_ptr<engine> e) : engine_(std::move(e)) {
    engine_->migrate();
    writer_ = engine_->connect(false);
    thread_ = std::thread([this] { write_loop(); });
}

database::~database() {
    {
        std::scoped_lock const lock(mutex_);
        stopping_ = true;
    }
    work_.notify_all();
    thread_.join();
}

bool database::healthy() const {
    std::scoped_lock const lock(mutex_);
    return healthy_;
}

bool database::probe() {
    try {
        // A value of its own each time: what is there already is not written.
        auto const once = new_guid();
        write([&](connection& c) {
            c.execute("INSERT INTO meta (name, value) VALUES ('probe', $1) ON CONFLICT (name) DO UPDATE SET value = $1",
                {once});
        });
        return true;
    } catch (std::exception const&) {
        return false;
    }
}

void database::submit(std::function<void(connection&)> change) {
    std::future<void> done;
    {
        std::scoped_lock const lock(mutex_);
        if (stopping_) throw store_error(0, "the store is closing");
        queue_.push_back({std::move(change), {}});
        done = queue_.back().done.get_future();
    }
    work_.notify_one();
    done.get();
}

void database::write_loop() {
    while (true) {
        std::deque<job> batch;
        {
            std::unique_lock lock(mutex_);
            work_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
            if (queue_.empty()) return;
            batch.swap(queue_);
        }
        commit_batch(batch);
    }
}

void database::commit_batch(std::deque<job>& batch) {
    std::exception_ptr failed;
    try {
        if (!writer_) writer_ = engine_->connect(false);
        writer_->execute("BEGIN IMMEDIATE");
        for (auto& j : batch) {
            writer_->execute("SAVEPOINT one");
            try {
                j.change(*writer_);
                writer_->execute("RELEASE one");
            } catch (...) {
                j.failure = std::current_exception();
                writer_->execute("ROLLBACK TO one");
                writer_->execute("RELEASE one");
            }
        }
        writer_->execute("COMMIT");
    } catch (...) {
        // The commit, or the connection itself, failed: what it left is undone by closing it, and the next batch
        // begins on a new one.
        failed = std::current_exception();
        writer_.reset();
    }
    {
        std::scoped_lock const lock(mutex_);
        healthy_ = !failed;
    }
    for (auto& j : batch) {
        if (auto const e = failed ? failed : j.failure)
            j.done.set_exception(e);
        else
            j.done.set_value();
    }
}

void database::forget_history() {
    try {
        engine_->forget_history();
    } catch (std::exception const& e) {
        log::warning("replaced keys may still be in the database's files until it is closed", {{"reason", e.what()}});
    }
}

database::reader::reader(database& db) : owner(db) {
    {
        std::scoped_lock const lock(owner.mutex_);
        if (!owner.idle_readers_.empty()) {
            conn = std::move(owner.idle_readers_.back());
            owner.idle_readers_.pop_back();
        }
    }
    if (!conn) conn = owner.engine_->connect(true);
    conn->execute("BEGIN");
}

database::reader::~reader() {
    try {
        conn->execute("COMMIT");
        std::scoped_lock const lock(owner.mutex_);
        owner.idle_readers_.push_back(std::move(conn));
    } catch (std::exception const&) {  // a connection that cannot end its snapshot is of no more use
        conn.reset();
    }
}

}  // namespace mdmd::store
