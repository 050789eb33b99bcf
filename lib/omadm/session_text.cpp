// A session as one line: fields separated by single blanks, texts percent-encoded (which leaves no blank and no dot),
// an absent value as ".".
//
//   2 ID DEVICE-MSG SERVER-MSG MAX-MSG-SIZE LOGIN ENDED
//   MAX-OBJ-SIZE SYNC-TYPE MESSAGES STOPPED AUTHENTICATED CHALLENGED RESENT COUNT, then for each Atomic that waits:
//   MSG CMD STATUS, then COUNT, and for each command that waits:
//   MSG CMD KEY VERB URI FORMAT TYPE DATA STATUS VALUE VALUE-FORMAT PARTIAL
//   ANNOUNCED CUT-SHORT IN-PARTS PARTED AGAIN ATOMIC ORIGINAL-ERROR
//
// The leading 2 is the version of this form. Version 1, which is read too, has neither the Atomics nor the second
// lines.
#include <fmt/format.h>
#include <charconv>
#include <concepts>
#include <iterator>
#include <limits>

#include "core/text.hpp"
#include "omadm/session.hpp"

namespace mdmd::omadm {
namespace {

constexpr std::string_view version = "2", version_1 = "1";
constexpr std::string_view absent = ".";

std::string encoded(std::optional<std::string> const& text) {
    return text ? percent_encode(*text) : std::string(absent);
}
template <std::integral T> std::string encoded(std::optional<T> const& n) {
    return n ? fmt::to_string(*n) : std::string(absent);
}
std::string_view encoded(bool flag) { return flag ? "1" : "0"; }

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
    template <std::integral T> std::optional<T> optional_number() {
        auto const raw = next();
        return raw == absent ? std::nullopt : std::optional(parsed(raw, std::numeric_limits<T>::max()));
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

result<outstanding> load_outstanding(fields& in, bool whole) {
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
    o.status = in.optional_number<int>();
    o.value = in.optional_text();
    o.format = in.text();
    o.partial = in.flag();
    if (!whole) return o;
    o.announced = in.optional_number<std::uint64_t>();
    o.cut_short = in.flag();
    o.in_parts = in.flag();
    o.parted = in.number<std::uint64_t>();
    o.again = in.flag();
    o.atomic = in.number<int>();
    o.original_error = in.text();
    if (o.in_parts ? !o.sent.data || o.parted > o.sent.data->size() : o.parted > 0)
        return fail(errc::malformed, "a saved session with more of a value sent than there is");
    return o;
}

}  // namespace

std::string save(session const& s) {
    auto line = fmt::format("{} {} {} {} {} {} {:d} {} {} {} {:d} {:d} {} {:d} {}", version, percent_encode(s.id),
        s.device_msg_id, s.server_msg_id, s.max_msg_size, percent_encode(s.login_status), s.ended, s.max_obj_size,
        percent_encode(s.sync_type), s.messages, s.stopped, s.authenticated, s.challenged, s.resent, s.atomics.size());
    auto const add = [&](auto const&... all) { ((line += ' ', line += all), ...); };
    for (auto const& a : s.atomics) add(fmt::to_string(a.msg_id), fmt::to_string(a.cmd_id), encoded(a.status));
    add(fmt::to_string(s.waiting.size()));
    for (auto const& o : s.waiting) {
        add(fmt::to_string(o.msg_id), fmt::to_string(o.cmd_id), percent_encode(o.key), name(o.sent.what),
            percent_encode(o.sent.uri), percent_encode(o.sent.format), percent_encode(o.sent.type),
            encoded(o.sent.data), encoded(o.status), encoded(o.value), percent_encode(o.format), encoded(o.partial));
        add(encoded(o.announced), encoded(o.cut_short), encoded(o.in_parts), fmt::to_string(o.parted), encoded(o.again),
            fmt::to_string(o.atomic), percent_encode(o.original_error));
    }
    return line;
}

result<session> load(std::string_view line) {
    fields in(line);
    auto const form = in.text();
    if (form != version && form != version_1) return fail(errc::malformed, "not a saved session");
    bool const whole = form == version;
    session s;
    s.id = in.text();
    s.device_msg_id = in.number<int>();
    s.server_msg_id = in.number<int>();
    s.max_msg_size = in.number<std::uint64_t>();
    s.login_status = in.text();
    s.ended = in.flag();
    if (whole) {
        s.max_obj_size = in.number<std::uint64_t>();
        s.sync_type = in.text();
        s.messages = in.number<int>();
        s.stopped = in.flag();
        s.authenticated = in.flag();
        s.challenged = in.number<int>();
        s.resent = in.flag();
        auto const atomics = in.number<std::size_t>();
        for (std::size_t i = 0; i < atomics && !in.failed(); ++i) {
            sent_atomic a;
            a.msg_id = in.number<int>();
            a.cmd_id = in.number<int>();
            a.status = in.optional_number<int>();
            s.atomics.push_back(a);
        }
    }
    auto const count = in.number<std::size_t>();
    for (std::size_t i = 0; i < count && !in.failed(); ++i) {
        auto o = load_outstanding(in, whole);
        if (!o) return o.error();
        s.waiting.push_back(std::move(*o));
    }
    if (!in.at_end()) return fail(errc::malformed, "a saved session that is damaged");
    return s;
}

}  // namespace mdmd::omadm
