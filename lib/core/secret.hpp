#pragma once
#include <string>
#include <string_view>
#include <utility>

#include <string.h>  // explicit_bzero

namespace mdmd {

// Empties the text and zeroes the memory it has, all of its capacity.
inline void wipe(std::string& text) noexcept {
    text.resize(text.capacity());  // within the capacity: nothing is allocated, small texts included
    explicit_bzero(text.data(), text.size());
    text.clear();
}

// Text that must not be seen: it has no operator<<, no formatter and no comparison, and its memory is zeroed
// when it goes. reveal() is the one way out, easy to search for.
class secret {
public:
    secret() = default;
    explicit secret(std::string text) : text_(std::move(text)) { wipe(text); }
    secret(secret const& other) : text_(other.text_) {}
    secret(secret&& other) noexcept : text_(std::move(other.text_)) { wipe(other.text_); }
    secret& operator=(secret other) noexcept {
        text_.swap(other.text_);
        return *this;
    }
    ~secret() { wipe(text_); }

    bool empty() const { return text_.empty(); }
    std::string_view reveal() const { return text_; }

private:
    std::string text_;
};

}  // namespace mdmd
