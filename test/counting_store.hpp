// A store that counts what it is asked and what changes in it.
#pragma once
#include <atomic>
#include <memory>

#include "store/database.hpp"

namespace mdmd::test {

struct store_use {
    std::atomic<std::int64_t> statements = 0;  // readers' and the writer's, without those around a transaction
    std::atomic<std::int64_t> rows = 0;        // that they gave
    std::atomic<std::int64_t> changes = 0;     // rows inserted, updated or deleted, in commits
};

class counting_rows : public store::rows {
public:
    counting_rows(std::unique_ptr<store::rows> r, store_use& use) : inner_(std::move(r)), use_(use) {}
    bool next() override {
        bool const more = inner_->next();
        use_.rows += more;
        return more;
    }
    bool null(int column) const override { return inner_->null(column); }
    std::int64_t integer(int column) const override { return inner_->integer(column); }
    std::string text(int column) const override { return inner_->text(column); }

private:
    std::unique_ptr<store::rows> inner_;
    store_use& use_;
};

class counting_connection : public store::connection {
public:
    counting_connection(std::unique_ptr<store::connection> c, std::shared_ptr<store_use> use)
        : inner_(std::move(c)), use_(std::move(use)) {}
    std::int64_t execute(std::string_view sql, std::initializer_list<store::parameter> values = {}) override {
        auto const changed = inner_->execute(sql, values);
        use_->statements += values.size() != 0;
        if (sql == "COMMIT") {
            auto const total = inner_->query("SELECT total_changes()");
            total->next();
            use_->changes += total->integer(0) - changes_before_;
            changes_before_ = total->integer(0);
        }
        return changed;
    }

private:
    std::unique_ptr<store::rows> run(std::string_view sql, std::span<store::parameter const> values) override {
        ++use_->statements;
        return std::make_unique<counting_rows>(inner_->query(sql, values), *use_);
    }

    std::unique_ptr<store::connection> inner_;
    std::shared_ptr<store_use> use_;
    std::int64_t changes_before_ = 0;
};

class counting_engine : public store::engine {
public:
    counting_engine(std::filesystem::path const& file, std::shared_ptr<store_use> use)
        : inner_(store::sqlite_engine(file)), use_(std::move(use)) {}
    std::unique_ptr<store::connection> connect(bool read_only) override {
        return std::make_unique<counting_connection>(inner_->connect(read_only), use_);
    }
    void forget_history() override { inner_->forget_history(); }
    void migrate() override { inner_->migrate(); }

private:
    std::unique_ptr<store::engine> inner_;
    std::shared_ptr<store_use> use_;
};

}  // namespace mdmd::test
