// A session as one line: fields separated by single blanks, texts percent-encoded (which leaves no blank and no dot),
// an absent value as ".".
//
//   1 ID DEVICE-MSG SERVER-MSG MAX-MSG-SIZE LOGIN ENDED COUNT, then for each command that waits:
//   MSG CMD KEY VERB URI FORMAT TYPE DATA STATUS VALUE VALUE-FORMAT PARTIAL
//
// The leading 1 is the version of this form.
#include <fmt/format.h>
#include <charconv>
#include <concepts>
#include <iterator>
#include <limits>

#include "core/text.hpp"
#include "omadm/session.hpp"

namespace mdmd::omadm {
namespace {

constexpr std::string_view version = "1";
constexpr std::string_view absent = ".";

std::string encoded(std::optional<std::string> const& text) {
    return text ? percent_encode(*text) : std::string(absent);
}

// Takes fields off the front of a line. The first one that does not fit spoils the rest.
class fields {
public:
    explicit fields(std::string_view line) : left_(line) {}

    std::string text() {
        auto value = optional_text();
        if (!value) failed_ = true;
        return std::move(value).value_or("");
    }
    std::optional<std::string> optional_text() {
        auto const raw = next();
        if (raw == absent) return std::nullopt;
        auto value = percent_decode(raw);
        if (!value) failed_ = true;
        return value;
    }
    template <std::integral T> T number(T max = std::numeric_limits<T>::max()) { return parsed(next(), max); }
    std::optional<int> optional_number() {
        auto const raw = next();
        return raw == absent ? std::nullopt : std::optional(parsed(raw, std::numeric_limits<int>::max()));
    }
    bool flag() { return number<int>(1) == 1; }

    bool failed() const { return failed_; }
    bool at_end() const { return ended_ && !failed_; }

private:
    std::string_view next() {
        if (ended_) failed_ = true;
        if (failed_) return {};
        auto const at = left_.find(' ');
        auto const field = left_.substr(0, at);
        ended_ = at == left_.npos;
        left_.remove_prefix(ended_ ? left_.size() : at + 1);
        return field;
    }

    template <std::integral T> T parsed(std::string_view raw, T max) {
        T value{};
        auto const [end, ec] = std::from_chars(raw.data(), raw.data() + raw.size(), value);
        if (ec == std::errc{} && end == raw.data() + raw.size() && value >= 0 && value <= max) return value;
        failed_ = true;
        return 0;
    }

    std::string_view left_;
    bool ended_ = false;
    bool failed_ = false;
};

}  // namespace

std::string save(session const& s) {
    auto line = fmt::format("{} {} {} {} {} {} {:d} {}", version, percent_encode(s.id), s.device_msg_id,
        s.server_msg_id, s.max_msg_size, percent_encode(s.login_status), s.ended, s.waiting.size());
    for (auto const& o : s.waiting)
        fmt::format_to(std::back_inserter(line), " {} {} {} {} {} {} {} {} {} {} {} {:d}", o.msg_id, o.cmd_id,
            percent_encode(o.key), name(o.sent.what), percent_encode(o.sent.uri), percent_encode(o.sent.format),
            percent_encode(o.sent.type), encoded(o.sent.data),
            o.status ? fmt::to_string(*o.status) : std::string(absent), encoded(o.value), percent_encode(o.format),
            o.partial);
    return line;
}

result<session> load(std::string_view line) {
    fields in(line);
    if (in.text() != version) return fail(errc::malformed, "not a saved session");
    session s;
    s.id = in.text();
    s.device_msg_id = in.number<int>();
    s.server_msg_id = in.number<int>();
    s.max_msg_size = in.number<std::uint64_t>();
    s.login_status = in.text();
    s.ended = in.flag();
    auto const count = in.number<std::size_t>();
    for (std::size_t i = 0; i < count && !in.failed(); ++i) {
        outstanding o;
        o.msg_id = in.number<int>();
        o.cmd_id = in.number<int>();
        o.key = in.text();
        auto const what = parse_verb(in.text());
        if (!what) return fail(errc::malformed, "a saved session with an unknown command");
        o.sent.what = *what;
        o.sent.uri = in.text();
        o.sent.format = in.text();
        o.sent.type = in.text();
        o.sent.data = in.optional_text();
        o.status = in.optional_number();
        o.value = in.optional_text();
        o.format = in.text();
        o.partial = in.flag();
        s.waiting.push_back(std::move(o));
    }
    if (!in.at_end()) return fail(errc::malformed, "a saved session that is damaged");
    return s;
}

}  // namespace mdmd::omadm
