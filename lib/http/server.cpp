#include "http/server.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/log.hpp"
#include "http/listener.hpp"
#include "http/session.hpp"

namespace mdmd::http {
namespace {

constexpr auto as_values = net::as_tuple(net::use_awaitable);
constexpr unsigned own_workers = 8;               // for all sites that have them
constexpr std::chrono::milliseconds breath{100};  // before accepting again when descriptors or memory have run out

// One listening address, on the first loop.
struct listener {
    listener(net::io_context& io, listening l, served s, std::filesystem::path p)
        : family(l.family), socket(io, l.socket.release()), pause(io), serves(std::move(s)), path(std::move(p)) {}
    int family;
    net::posix::stream_descriptor socket;
    net::steady_timer pause;
    served serves;
    std::filesystem::path path;  // of a Unix socket: the file to remove
};

}  // namespace

struct server::impl {
    impl(unsigned io_threads, unsigned workers, limits const& l)
        : limit(l),
          admissions(std::make_shared<gate>(l.connections, l.connections_per_address)),
          loops(std::max(1u, io_threads)),
          pool(std::max(1u, workers)),
          own_pool(own_workers) {
        for (auto& one : loops) one = std::make_unique<io_loop>();
        admissions->on_vacancy([this] { net::post(first(), [this] { wake_listeners(); }); });
    }

    net::io_context& first() { return loops.front()->io; }
    void add(listening, served, std::filesystem::path path);
    std::uint16_t serve(listening, std::vector<site>);
    bool answer(std::chrono::milliseconds patience) const;
    void start();
    void stop(std::chrono::milliseconds grace);
    void close_listeners();
    void wake_listeners();
    static net::awaitable<void> accept(impl&, listener&);
    void welcome(listener&, arrival);
    void on_every_session(void (session::*end)());

    limits const limit;
    std::shared_ptr<gate> const admissions;
    std::vector<std::unique_ptr<io_loop>> loops;
    std::vector<std::unique_ptr<listener>> listeners;
    std::vector<net::executor_work_guard<net::io_context::executor_type>> guards;
    std::vector<std::thread> threads;
    net::thread_pool pool;
    net::thread_pool own_pool;  // of the sites that have workers of their own
    std::size_t next_loop = 0;  // of new connections; on the first loop
    bool closing = false;       // likewise
    std::mutex life;            // start and stop
    bool started = false;
    bool stopped = false;
};

void server::impl::add(listening l, served s, std::filesystem::path path) {
    std::scoped_lock const lock(life);
    if (started || stopped) throw std::logic_error("http::server: listen after start");
    listeners.push_back(std::make_unique<listener>(first(), std::move(l), std::move(s), std::move(path)));
}

std::uint16_t server::impl::serve(listening l, std::vector<site> sites) {
    bool const secure = !sites.empty() && sites.front().tls != nullptr;
    if (sites.empty()) throw std::invalid_argument("http::server: no site to serve");
    for (auto const& s : sites)
        if (!s.handle || (sites.size() > 1 && !s.tls))
            throw std::invalid_argument("http::server: site without handler or TLS");
    auto const bound = l.port;
    auto front = secure ? std::make_unique<tls_front>(sites) : nullptr;
    add(std::move(l), {std::move(sites), std::move(front)}, {});
    return bound;
}

bool server::impl::answer(std::chrono::milliseconds patience) const {
    struct counter {
        std::mutex mutex;
        std::condition_variable changed;
        std::size_t missing;
    };
    auto const left = std::make_shared<counter>();
    left->missing = loops.size();
    for (auto const& one : loops) {
        net::post(one->io, [left] {
            std::scoped_lock const lock(left->mutex);
            if (--left->missing == 0) left->changed.notify_all();
        });
    }
    std::unique_lock lock(left->mutex);
    return left->changed.wait_for(lock, patience, [&] { return left->missing == 0; });
}

void server::impl::start() {
    std::scoped_lock const lock(life);
    if (started || stopped) throw std::logic_error("http::server: started before");
    started = true;
    for (auto& l : listeners) net::co_spawn(first(), accept(*this, *l), net::detached);
    for (auto& one : loops) {
        guards.push_back(net::make_work_guard(one->io));
        threads.emplace_back([&io = one->io] { io.run(); });
    }
}

void server::impl::wake_listeners() {
    for (auto& l : listeners) l->pause.cancel();
}

// Accepts one connection after the other. Where there is no room it stops asking, so that connections wait in the
// kernel's queue, until there is.
net::awaitable<void> server::impl::accept(impl& self, listener& l) {
    constexpr int in_a_row = 16;
    for (int taken = 0; !self.closing;) {
        if (taken >= in_a_row) {  // a flood of connections must not keep this loop from its other work
            taken = 0;
            co_await net::post(as_values);
            continue;
        }
        if (self.admissions->full()) {
            l.pause.expires_at(net::steady_timer::time_point::max());
            co_await l.pause.async_wait(as_values);
            continue;
        }
        error_code e;
        auto got = accept_one(l.socket.native_handle(), e);
        if (got.socket) {
            ++taken;
            try {
                self.welcome(l, std::move(got));
            } catch (std::exception const& failure) {  // that one connection's loss
                log::error("cannot serve a connection", {{"error", failure.what()}});
            }
        } else if (out_of_resources(e)) {
            log::warning("cannot accept connections", {{"error", e.message()}});
            l.pause.expires_after(breath);
            co_await l.pause.async_wait(as_values);
        } else if (!e) {
            co_await l.socket.async_wait(net::posix::stream_descriptor::wait_read, as_values);
        }
    }
}

void server::impl::welcome(listener& l, arrival got) {
    auto admitted = admissions->admit(got.address);
    if (!admitted) {
        log::debug("connection refused: too many from its address", {{"peer", got.address}});
        return;
    }
    auto& loop = *loops[next_loop++ % loops.size()];
    auto bytes = std::make_shared<stream>(loop.io, got.socket.get(), l.family);
    static_cast<void>(got.socket.release());
    auto const connection = std::make_shared<session>(session::surroundings{loop, l.serves, limit, pool, own_pool},
        std::move(bytes), std::move(got.address), std::move(admitted));
    net::co_spawn(loop.io, session::run(connection), [](std::exception_ptr failure) {
        if (!failure) return;
        try {
            std::rethrow_exception(failure);
        } catch (std::exception const& e) {
            log::error("connection failed", {{"error", e.what()}});
        }
    });
}

void server::impl::close_listeners() {
    closing = true;
    for (auto& l : listeners) {
        error_code ignored;
        l->socket.close(ignored);
        std::error_code no_file;
        if (!l->path.empty()) std::filesystem::remove(l->path, no_file);
    }
    wake_listeners();
}

void server::impl::on_every_session(void (session::*end)()) {
    for (auto& one : loops) {
        net::post(one->io, [&loop = *one, end] {
            for (auto* const s : loop.live) (s->*end)();
        });
    }
}

void server::impl::stop(std::chrono::milliseconds grace) {
    std::scoped_lock const lock(life);
    if (std::exchange(stopped, true)) return;
    if (!started) {
        close_listeners();
        return;
    }
    auto const until = std::chrono::steady_clock::now() + grace;
    net::post(first(), [this] { close_listeners(); });
    for (auto& one : loops) one->stopping = true;
    on_every_session(&session::drain);
    if (!admissions->wait_empty(until)) {
        on_every_session(&session::cut);
        admissions->wait_empty(std::nullopt);
    }
    guards.clear();
    for (auto& t : threads) t.join();
    pool.join();
    own_pool.join();
}

server::server(unsigned io_threads, unsigned workers, limits l)
    : impl_(std::make_unique<impl>(io_threads, workers, l)) {}

server::~server() { impl_->stop(std::chrono::milliseconds(0)); }

std::uint16_t server::listen(std::string const& address, std::uint16_t port, std::vector<site> sites) {
    return impl_->serve(listen_tcp(address, port), std::move(sites));
}

std::uint16_t server::adopt(int socket, std::vector<site> sites) {
    return impl_->serve(adopt_tcp(descriptor(socket)), std::move(sites));
}

void server::listen_unix(std::filesystem::path const& path, unsigned mode, handler handle) {
    std::vector<site> sites;
    sites.push_back({.host = {}, .tls = nullptr, .handle = std::move(handle), .own_workers = true});
    impl_->add(listen_unix_socket(path, mode), {std::move(sites), nullptr}, path);
}

void server::start() { impl_->start(); }

void server::replace_tls(std::string const& host, tls_identity const& identity) {
    auto const made = make_tls(identity).value();
    bool found = false;
    for (auto& l : impl_->listeners)
        if (l->serves.tls && l->serves.tls->replace(host, made)) found = true;
    if (!found) throw std::invalid_argument(fmt::format("http::server: no TLS site {}", host));
}

bool server::answers(std::chrono::milliseconds patience) const { return impl_->answer(patience); }

void server::stop(std::chrono::milliseconds grace) { impl_->stop(grace); }

}  // namespace mdmd::http
