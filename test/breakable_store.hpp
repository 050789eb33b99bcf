// A store whose commits fail as long as somebody says so, as on a full disk.
#pragma once
#include <atomic>
#include <memory>

#include "store/database.hpp"

namespace mdmd::test {

class breakable_connection : public store::connection {
public:
    breakable_connection(std::unique_ptr<store::connection> c, std::shared_ptr<std::atomic<bool>> broken)
        : inner_(std::move(c)), broken_(std::move(broken)) {}
    std::int64_t execute(std::string_view sql, std::initializer_list<store::parameter> values = {}) override {
        if (*broken_ && sql == "COMMIT") throw store::store_error(13, "database or disk is full");
        return inner_->execute(sql, values);
    }

private:
    std::unique_ptr<store::rows> run(std::string_view sql, std::span<store::parameter const> values) override {
        return inner_->query(sql, values);
    }

    std::unique_ptr<store::connection> inner_;
    std::shared_ptr<std::atomic<bool>> broken_;
};

class breakable_engine : public store::engine {
public:
    breakable_engine(std::filesystem::path const& file, std::shared_ptr<std::atomic<bool>> broken)
        : inner_(store::sqlite_engine(file)), broken_(std::move(broken)) {}
    std::unique_ptr<store::connection> connect(bool read_only) override {
        auto c = inner_->connect(read_only);
        if (read_only) return c;
        return std::make_unique<breakable_connection>(std::move(c), broken_);
    }
    void forget_history() override { inner_->forget_history(); }
    void migrate() override { inner_->migrate(); }

private:
    std::unique_ptr<store::engine> inner_;
    std::shared_ptr<std::atomic<bool>> broken_;
};

}  // namespace mdmd::test
