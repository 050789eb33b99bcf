#pragma once
#include <string>
#include <string_view>
#include <utility>

#include <string.h>  // explicit_bzero

namespace mdmd {

// Text that must not be seen: it has no operator<<, no formatter and no comparison, and its memory is zeroed
// when it goes. reveal() is the one way out, easy to search for.
class secret {
public:
    secret() = default;
    explicit secret(std::string text) : text_(std::move(text)) {}
    secret(secret const& other) : text_(other.text_) {}
    secret(secret&& other) noexcept : text_(std::move(other.text_)) { other.wipe(); }
    secret& operator=(secret other) noexcept {
        text_.swap(other.text_);
        return *this;
    }
    ~secret() { wipe(); }

    bool empty() const { return text_.empty(); }
    std::string_view reveal() const { return text_; }

private:
    void wipe() noexcept {
        text_.resize(text_.capacity());  // within the capacity: nothing is allocated, small texts included
        explicit_bzero(text_.data(), text_.size());
        text_.clear();
    }
    std::string text_;
};

}  // namespace mdmd
