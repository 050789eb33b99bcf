#include "service/application_token.hpp"

#include "config/load.hpp"
#include "core/log.hpp"
#include "core/random.hpp"

namespace mdmd::service {
namespace {

using namespace std::chrono_literals;

constexpr auto refused_pause = 15min;
constexpr auto least_life = 5min;      // of a token that is handed out
constexpr auto longest_pause = 75min;  // what Entra may ask for, and the spread

std::string name_of(bool next) { return next ? "next" : "current"; }

std::string place_of(config::settings const& s) {
    return fmt::format(
        "{} {} {} {}", s.entra.tenant_id, s.entra.client_id, s.entra.login_url.text, s.entra.graph_url.text);
}

std::array<std::int64_t, 5> identity_of(std::filesystem::path const& file) {
    struct stat s {};
    if (file.empty() || ::stat(file.c_str(), &s) != 0) return {};
    return {static_cast<std::int64_t>(s.st_dev), static_cast<std::int64_t>(s.st_ino), s.st_size,
        s.st_mtim.tv_sec * 1'000'000'000 + s.st_mtim.tv_nsec, s.st_ctim.tv_sec * 1'000'000'000 + s.st_ctim.tv_nsec};
}

}  // namespace

std::string_view name(key_state s) {
    switch (s) {
        case key_state::unproven: return "unproven";
        case key_state::ok: return "ok";
        case key_state::refused: return "refused";
        case key_state::expired: return "expired";
    }
    return "";
}

entra::application application_of(config::settings const& s) {
    return {s.entra.login_url.text, s.entra.graph_url.text, s.entra.tenant_id, s.entra.client_id};
}

application_token::application_token(context& c)
    : context_(c),
      current_(slot_of(c.config()->settings.entra.key)),
      next_(slot_of({})),
      place_(place_of(c.config()->settings)) {}

application_token::key_slot application_token::slot_of(credential key) const {
    key_slot s;
    s.view.present = !key.empty();
    s.view.certificate = key.is_certificate();
    if (s.view.present) {
        // The same key elsewhere is another one.
        std::string what = place_of(context_.config()->settings) + " ";
        what += key.is_certificate() ? std::string_view(key.certificate_pem) : key.text.reveal();
        s.view.id = hex(crypto::hmac_sha256(context_.form_key(), what)).substr(0, 32);
        wipe(what);
    }
    s.key = std::move(key);
    return s;
}

bool application_token::token_is_good() const {
    auto const now = context_.time.now();
    return token_ && now < token_good_until_;
}

bool application_token::may_try(key_slot const& s) const {
    return has_come(s.not_before, context_.time.now(), longest_pause);
}

void application_token::take(entra::access_token token) {
    // Never the last of its life, however short that is.
    auto const life = token.expires - context_.time.now();
    token_good_until_ = token.expires - std::min<std::chrono::milliseconds>(least_life, life / 4);
    token_ = std::move(token);
    if (failing_) ++recoveries_;
    failing_ = false;
}

void application_token::give_up() { failing_ = true; }

bool application_token::change_over() {
    auto const& refusal = slot(use_next_).view.refusal;
    auto const& other = slot(!use_next_).view;
    bool const usable = other.present && (other.state == key_state::ok || other.state == key_state::unproven);
    if (!refusal || !entra::successor_may_help(refusal->code) || !usable) return false;
    use_next_ = !use_next_;
    log::error(fmt::format("Entra refuses the application's {} key: the {} one is used from now on",
                   name_of(!use_next_), name_of(use_next_)),
        {{"remedy", use_next_ ? "run `mdmctl key promote`" : "check entra.next_key_file"}});
    return true;
}

result<entra::access_token> application_token::buy(bool next) {
    int asked = 0;
    credential key;
    {
        std::scoped_lock const lock(mutex_);
        asked = generation_;
        key = slot(next).key;
    }
    auto const config = context_.config();
    auto const form = config->settings.entra.assertion == config::assertion_form::rs256 ? entra::assertion_form::rs256
                                                                                        : entra::assertion_form::ps256;
    auto const app = application_of(config->settings);
    auto request = entra::token_request(app, key, form, context_.time.now());
    auto answer = request ? context_.call(*request) : result<http::response>(request.error());
    if (request) wipe(request->body);

    auto const now = context_.time.now();
    std::scoped_lock const lock(mutex_);
    if (asked != generation_) return fail(errc::conflict, "the key was changed while Entra was asked");
    auto& s = slot(next);
    bool const first_proof = s.view.state != key_state::ok;
    s.proof_due = false;
    if (!answer) {
        s.view.problem = answer.error().detail;
        if (s.view.refusal && !s.view.refusal->credential_is_wrong) s.view.refusal.reset();
        s.not_before = s.retries.failed(now, random_fraction(), std::nullopt);
        log::warning("no token from Entra", {{"key", name_of(next)}, {"reason", s.view.problem}});
        return fail(errc::unavailable, s.view.problem);
    }
    auto parsed = entra::parse_token_answer(*answer, now);
    wipe(answer->body);
    if (parsed.token) {
        s.view.state = key_state::ok;
        s.view.refusal.reset();
        s.view.problem.clear();
        s.not_before = {};
        s.retries.succeeded();
        if (first_proof) log::info("Entra takes the application's key", {{"key", name_of(next)}});
        return std::move(*parsed.token);
    }
    auto const& why = parsed.refusal;
    s.view.refusal = why;
    s.view.problem.clear();
    if (why.credential_is_wrong) s.view.state = why.code == 7000222 ? key_state::expired : key_state::refused;
    s.not_before =
        why.credential_is_wrong ? now + refused_pause : s.retries.failed(now, random_fraction(), why.retry_after);
    log::error("Entra refuses a token",
        {{"key", name_of(next)}, {"reason", why.summary()}, {"meaning", why.meaning}, {"remedy", why.remedy},
            {"trace_id", why.trace_id}, {"correlation_id", why.correlation_id}});
    return fail(why.credential_is_wrong ? errc::forbidden : errc::unavailable, why.summary());
}

result<entra::access_token> application_token::get() {
    std::scoped_lock const one(buying_);
    while (true) {
        bool next = false;
        {
            std::scoped_lock const lock(mutex_);
            next = use_next_;
            auto const& s = slot(next);
            if (token_is_good() && (!s.proof_due || !may_try(s))) return *token_;
            if (!may_try(s)) {
                give_up();
                if (!s.view.refusal) return fail(errc::unavailable, s.view.problem);
                return fail(s.view.refusal->credential_is_wrong ? errc::forbidden : errc::unavailable,
                    s.view.refusal->summary());
            }
        }
        auto bought = buy(next);
        std::scoped_lock const lock(mutex_);
        if (bought) {
            take(*bought);
            return bought;
        }
        bool const refused = bought.error().code == errc::forbidden;
        if (bought.error().code == errc::conflict || (refused && change_over())) continue;
        if (refused) token_.reset();
        // What can still be used is, while Entra does not answer.
        if (token_is_good()) return *token_;
        give_up();
        return bought;
    }
}

void application_token::drop() {
    std::scoped_lock const lock(mutex_);
    token_.reset();
}

void application_token::read_next(bool reread) {
    auto const file = context_.config()->settings.entra.next_key_file;
    auto const identity = identity_of(file);
    {
        std::scoped_lock const lock(mutex_);
        if (!reread && identity == next_file_) return;
        next_file_ = identity;
    }
    auto read = file.empty() || identity == decltype(identity){} ? result<credential>(credential())
                                                                 : config::read_credential(file);
    std::scoped_lock const lock(mutex_);
    auto fresh = slot_of(read ? std::move(*read) : credential());
    if (!read) fresh.view.problem = read.error().detail;
    if (fresh.view.present && fresh.view.id == current_.view.id) {
        fresh = slot_of({});
        fresh.view.problem = "it is the same as the current key";
    }
    // A key that is in use stays so until the configuration says otherwise: its file may be on its way to another name.
    if (use_next_ && !fresh.view.present) return;
    if (fresh.view.id == next_.view.id && fresh.view.present && !reread) return;
    if (use_next_) use_next_ = fresh.view.id == next_.view.id;
    if (fresh.view.present)
        log::info("the application's next key is there, and will be tried", {{"file", file.string()}});
    else if (!fresh.view.problem.empty())
        log::warning(
            "the application's next key cannot be used", {{"file", file.string()}, {"reason", fresh.view.problem}});
    next_ = std::move(fresh);
}

void application_token::watch() {
    bool get_one = false;
    {
        std::scoped_lock const one(buying_);
        read_next(false);
        // The key that is not in use: the next one that is staged, or the current one after a reload that found the
        // next one in use.
        auto const other_is_due = [&] {
            std::scoped_lock const lock(mutex_);
            auto const& other = slot(!use_next_);
            bool const open = use_next_ ? other.proof_due : other.proof_due || other.view.state != key_state::ok;
            return other.view.present && open && may_try(other);
        };
        bool const next_in_use = [&] {
            std::scoped_lock const lock(mutex_);
            return use_next_;
        }();
        auto const bought = other_is_due() ? buy(!next_in_use) : result<entra::access_token>(error{});
        std::scoped_lock const lock(mutex_);
        if (bought && next_in_use == use_next_) {
            if (use_next_) {
                use_next_ = false;
                take(*bought);
                log::info("Entra takes the application's current key: it is used from now on");
            } else if (change_over()) {
                take(*bought);
            }
        }
        // What failed is tried again without anybody asking: reports may wait for it.
        auto const& s = slot(use_next_);
        get_one = (s.proof_due || failing_) && may_try(s);
    }
    if (get_one) static_cast<void>(get());
}

void application_token::reload() {
    std::scoped_lock const lock(mutex_);
    ++generation_;
    auto const config = context_.config();
    auto const there = place_of(config->settings);
    if (there != place_) {  // a token of one tenant is for no eyes of another
        place_ = there;
        token_.reset();
        next_ = slot_of({});
        use_next_ = false;
    }
    auto fresh = slot_of(config->settings.entra.key);
    if (fresh.view.id == next_.view.id) {  // promoted
        fresh.view = next_.view;
        next_ = slot_of({});
        use_next_ = false;
    } else if (fresh.view.id == current_.view.id) {
        fresh.view = current_.view;
    }
    if (!use_next_) {
        fresh.view.refusal.reset();
        fresh.view.problem.clear();
        if (fresh.view.state != key_state::ok) fresh.view.state = key_state::unproven;
    }
    current_ = std::move(fresh);
    next_.not_before = {};
    next_.proof_due = true;
    next_file_ = {-1};  // read again, whatever it is
}

void application_token::test() {
    std::scoped_lock const one(buying_);
    read_next(true);
    std::array<result<entra::access_token>, 2> bought{error{}, error{}};
    for (bool const next : {false, true}) {
        {
            std::scoped_lock const lock(mutex_);
            if (!slot(next).view.present) continue;
        }
        bought[next ? 1 : 0] = buy(next);
    }
    std::scoped_lock const lock(mutex_);
    if (!bought[use_next_ ? 1 : 0]) change_over();
    auto& of_use = bought[use_next_ ? 1 : 0];
    if (of_use)
        take(std::move(*of_use));
    else if (of_use.error().code == errc::forbidden)
        token_.reset();
}

result<void> application_token::promote() {
    std::scoped_lock const one(buying_);
    read_next(false);
    {
        std::scoped_lock const lock(mutex_);
        if (!next_.view.present && next_.view.problem.empty())
            return fail(errc::not_found, "there is no next key: put it into the file that entra.next_key_file names");
        if (!next_.view.present) return fail(errc::not_found, "the next key cannot be used: " + next_.view.problem);
    }
    auto bought = buy(true);
    if (!bought) return bought.error();
    std::scoped_lock const lock(mutex_);
    use_next_ = true;
    take(std::move(*bought));
    log::info("the application's next key is used from now on");
    return {};
}

application_token::status application_token::current() const {
    std::scoped_lock const lock(mutex_);
    return {current_.view, next_.view, use_next_};
}

credential application_token::key(bool next) const {
    std::scoped_lock const lock(mutex_);
    return next ? next_.key : current_.key;
}

int application_token::recoveries() const {
    std::scoped_lock const lock(mutex_);
    return recoveries_;
}

}  // namespace mdmd::service
