#include "http/session.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

#include "core/log.hpp"
#include "core/random.hpp"

namespace mdmd::http {
namespace {

constexpr std::chrono::milliseconds linger{2'000};    // for the peer to read our last answer
constexpr std::chrono::milliseconds newcomer{2'000};  // while we stop: for a connection's first request to begin
constexpr std::uint64_t piece_size = 128 * 1024;      // of a file: what a transfer holds in memory

response only(int status) { return {.status = status, .headers = {}, .body = {}}; }

// One of those that wait for a worker, counted until it goes.
struct leave {
    void operator()(std::atomic<std::size_t>* count) const noexcept { --*count; }
};
using waiting_place = std::unique_ptr<std::atomic<std::size_t>, leave>;

// nullptr: so many wait already. `most` 0: any number may.
waiting_place queue_up(std::atomic<std::size_t>& count, std::size_t most) {
    ++count;
    waiting_place place(&count);
    return most == 0 || count <= most ? std::move(place) : nullptr;
}

// Runs on a worker. nullopt: the handler threw, and the log says so.
net::awaitable<std::optional<response>> run_handler(handler const& handle, request message, waiting_place waited) {
    waited.reset();
    log::scope const scope("request_id", message.id);
    try {
        co_return handle(message);
    } catch (std::exception const& e) {
        log::error("request handler failed", {{"method", message.method}, {"path", message.path}, {"error", e.what()}});
    } catch (...) {
        log::error("request handler failed", {{"method", message.method}, {"path", message.path}});
    }
    co_return std::nullopt;
}

// The first bytes of `part`, up to piece_size, in the place of what `into` has. Runs on a worker: a disk may take its
// time, and the I/O thread has other connections.
net::awaitable<error_code> read_piece(file_part const& part, std::string& into) {
    into.resize(std::min(part.length, piece_size));
    for (std::size_t used = 0; used < into.size();) {
        auto const n =
            ::pread(part.file->get(), into.data() + used, into.size() - used, static_cast<off_t>(part.offset + used));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) co_return error_code(errno, boost::system::system_category());
        if (n == 0) co_return net::error::eof;  // it has become shorter than was promised
        used += static_cast<std::size_t>(n);
    }
    co_return error_code();
}

}  // namespace

session::session(surroundings around, std::shared_ptr<stream> s, std::string peer_address, admission a)
    : around_(around), stream_(std::move(s)), peer_address_(std::move(peer_address)), admission_(std::move(a)) {}

session::~session() { around_.loop.live.erase(this); }

void session::drain() {
    if (!idle_) return;
    if (first_)
        stream_->deadline(newcomer);
    else
        stream_->cancel();
}

std::chrono::milliseconds session::patience(std::chrono::milliseconds usual) const {
    return around_.loop.stopping ? std::min(usual, newcomer) : usual;
}

void session::cut() { stream_->cancel(); }

void session::log_end(std::string_view what, std::string_view why) {
    if (log::enabled(log::level::debug)) log::debug(what, {{"peer", peer_address_}, {"reason", std::string(why)}});
}

net::awaitable<void> session::run(std::shared_ptr<session> self) {
    auto& loop = self->around_.loop;
    loop.live.insert(self.get());
    bool open = true;
    if (self->around_.here.tls) open = co_await self->secure();
    while (open) {
        auto const& limit = self->around_.limit;
        request_reader reader({.header_bytes = limit.header_bytes,
            .body_bytes = limit.body_bytes,
            .header_fields = limit.header_fields,
            .chunked_allowed = self->here().chunked_allowed});
        open = co_await self->read_request(reader) && co_await self->answer(reader);
        self->first_ = false;
    }
    self->stream_->close();
}

// The handshake, and which site it is for.
net::awaitable<bool> session::secure() {
    stream_->deadline(patience(around_.limit.handshake));
    // What says nothing gets nothing: OpenSSL's part of a connection is most of what it costs.
    if (auto const e = co_await stream_->arrival(); e) {
        log_end("TLS handshake failed", e.message());
        co_return false;
    }
    stream_->secure(around_.here.tls->accept());
    if (auto const e = co_await stream_->handshake(); e) {
        auto const why = verify_failure(stream_->tls());
        log_end("TLS handshake failed", why.empty() ? e.message() : fmt::format("{}: {}", e.message(), why));
        co_await stream_->close_gently(linger);  // so that the alert arrives
        co_return false;
    }
    site_ = tls_front::site_of(stream_->tls());
    peer_certificate_ = peer_certificate_der(stream_->tls());
    bool const required = (SSL_get_verify_mode(stream_->tls()) & SSL_VERIFY_FAIL_IF_NO_PEER_CERT) != 0;
    if (required && (peer_certificate_.empty() || SSL_get_verify_result(stream_->tls()) != X509_V_OK)) {
        log_end("TLS handshake failed", "no verified client certificate");
        co_return false;
    }
    co_return true;
}

// Until `reader` is complete or has refused. False: the connection ended before that.
net::awaitable<bool> session::read_request(request_reader& reader) {
    auto const& limit = around_.limit;
    bool in_body = false;
    // A connection's first request must come as soon as it is open: silence gets no more time than dripping.
    stream_->deadline(first_ || !input_.empty() ? patience(limit.header) : limit.idle);
    bool waiting = !first_;  // for the first byte, on the idle limit
    while (true) {
        if (waiting && !input_.empty()) {
            waiting = false;
            stream_->deadline(limit.header);
        }
        input_.erase(0, reader.put(input_));
        auto at = reader.where();
        if (!in_body && (at == request_reader::state::body || at == request_reader::state::complete)) {
            in_body = true;
            if (!co_await begin_body(reader)) co_return false;
            at = reader.where();
        }
        if (at == request_reader::state::complete || at == request_reader::state::refused) co_return true;
        idle_ = input_.empty() && !reader.begun() && !in_body;
        if (idle_ && !first_ && around_.loop.stopping) co_return false;
        if (idle_) std::string().swap(input_);  // idle connections are many: they hold no buffer
        auto const e = co_await stream_->read(input_);
        if (e) {
            if (!idle_) log_end("request broken off", e.message());
            if (in_body && e != net::error::operation_aborted)
                client_lost(std::move(reader.message()), lost_stage::receiving);
            co_return false;
        }
        idle_ = false;
    }
}

// Between header and body: is it for us, and does the peer wait for a word?
net::awaitable<bool> session::begin_body(request_reader& reader) {
    check_site(reader);
    if (reader.where() == request_reader::state::refused) co_return true;
    auto& message = reader.message();
    message.id = new_guid();
    message.peer_address = peer_address_;
    message.peer_certificate = peer_certificate_;
    if (reader.where() != request_reader::state::body) co_return true;
    stream_->deadline(around_.limit.body);
    if (!reader.expects_continue()) co_return true;
    auto const e = co_await stream_->write("HTTP/1.1 100 Continue\r\n\r\n");
    if (!e) co_return true;
    log_end("request broken off", e.message());
    if (e != net::error::operation_aborted) client_lost(std::move(message), lost_stage::receiving);
    co_return false;
}

// RFC 9110 section 15.5.20: a client that reuses a connection for another name of the same address must go and open
// one for that name, because who it is was asked for under this one.
void session::check_site(request_reader& reader) {
    auto const& sites = around_.here.sites;
    for (std::size_t i = 0; i < sites.size(); ++i)
        if (i != site_ && iequals(sites[i].host, reader.host()) && !iequals(here().host, reader.host()))
            return reader.refuse(421, "Host of another site");
}

// Answers what was read; whether the connection goes on.
net::awaitable<bool> session::answer(request_reader& reader) {
    auto& message = reader.message();
    answer_form form{.head = message.method == "HEAD", .close = true, .http_1_0 = reader.is_http_1_0()};
    if (reader.where() == request_reader::state::refused) {
        log_end("request refused", fmt::format("{}: {}", reader.status(), reader.reason()));
        if (message.id.empty()) message.id = new_guid();
        message.peer_address = peer_address_;
        std::string().swap(message.body);
        auto const wire = to_wire(refusal(message, reader.status(), reader.reason()), form);
        static_cast<void>(co_await write_answer(wire.value(), nullptr, form.close));
        co_return false;
    }
    auto const id = message.id;
    auto const path = message.path;
    std::optional<request> head;  // for whoever wants to hear of a client that is lost, or writes our own failures
    if (here().lost || here().refused) {
        auto body = std::move(message.body);
        head = message;
        message.body = std::move(body);
    }

    stream_->no_deadline();
    std::optional<response> reply;
    if (auto place = queue_up(around_.here.waiting[site_], here().most_waiting)) {
        auto handling = run_handler(here().handle, std::move(message), std::move(place));
        reply = co_await net::co_spawn(workers(), std::move(handling), net::use_awaitable);
    } else {
        reply = put_off(head.value_or(request{.id = id, .path = path}));
    }

    form.close = !reply || !reader.keep_alive() || around_.loop.stopping;
    auto const failed = [&] {
        return refusal(head.value_or(request{.id = id, .path = path}), 500, "something went wrong here");
    };
    auto wire = to_wire(reply ? *reply : failed(), form);
    bool const sent_as_is = wire.has_value();
    if (!wire) {
        log::error("request handler's answer cannot be written", {{"request_id", id}, {"path", path}});
        form.close = true;
        wire = to_wire(failed(), form);
    }
    // Over TLS nobody ends his side and goes on to read: whoever has hung up is not there for the answer.
    bool const gone = head && stream_->hung_up();
    bool const from_file = reply && reply->file && sent_as_is && has_content(reply->status, form);
    auto const e = co_await write_answer(wire.value(), from_file ? &*reply->file : nullptr, form.close);
    if (head && (gone || e) && e != net::error::operation_aborted) client_lost(std::move(*head), lost_stage::answering);
    co_return !e && !form.close;
}

net::awaitable<error_code> session::write_answer(std::string_view wire, file_part const* file, bool close) {
    stream_->deadline(around_.limit.write);
    auto e = co_await stream_->write(wire);
    if (!e && file != nullptr) e = co_await write_file(*file);
    if (e)
        log_end("answer broken off", e.message());
    else if (close)
        co_await stream_->close_gently(linger);
    co_return e;
}

// Piece by piece; a peer that does not take one of them within the limit for an answer is cut off.
net::awaitable<error_code> session::write_file(file_part const& whole) {
    std::string piece;
    for (auto left = whole; left.length > 0;) {
        stream_->no_deadline();
        auto const read_error = co_await net::co_spawn(workers(), read_piece(left, piece), net::use_awaitable);
        if (read_error) {
            // After a header that promised more, closing the connection is all that can be said.
            log::error("a file could not be sent whole", {{"reason", read_error.message()}});
            co_return read_error;
        }
        stream_->deadline(around_.limit.write);
        if (auto const e = co_await stream_->write(piece); e) co_return e;
        left.offset += piece.size();
        left.length -= piece.size();
    }
    co_return error_code();
}

// The site's own words for a refusal, or the bare status; always something that can be written.
response session::refusal(request const& head, int status, std::string_view why) const {
    if (!here().refused) return only(status);
    try {
        auto answer = here().refused(head, status, why);
        answer.status = status;
        if (to_wire(answer, {})) return answer;
        log::error("the answer to a refused request cannot be written", {{"request_id", head.id}});
    } catch (std::exception const& e) {
        log::error("the answer to a refused request failed", {{"request_id", head.id}, {"error", e.what()}});
    }
    return only(status);
}

// RFC 6585 section 4
response session::put_off(request const& head) const {
    log::debug("request put off: too many wait", {{"request_id", head.id}, {"path", head.path}});
    auto answer = refusal(head, 429, "more requests wait than can be served");
    auto const wait = static_cast<double>(around_.limit.retry_after.count()) * (1 + random_fraction());
    answer.headers.add("Retry-After", fmt::format("{:.0f}", wait));
    return answer;
}

void session::client_lost(request head, lost_stage at) {
    if (!here().lost) return;
    std::string().swap(head.body);
    // The listener keeps its sites as long as workers run.
    net::post(workers(), [&tell = here().lost, head = std::move(head), at] {
        log::scope const scope("request_id", head.id);
        try {
            tell(head, at);
        } catch (std::exception const& e) {
            log::error("telling of a lost client failed", {{"path", head.path}, {"error", e.what()}});
        }
    });
}

}  // namespace mdmd::http
