// One connection of a listener: requests in, answers out, until one side has had enough.
#pragma once
#include <atomic>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <set>

#include "http/framing.hpp"
#include "http/server.hpp"
#include "http/stream.hpp"
#include "http/tls.hpp"

namespace mdmd::http {

// What one address serves. Not changed after start(), but for the certificates that `tls` holds.
struct served {
    std::vector<site> sites;         // the first is the default
    std::unique_ptr<tls_front> tls;  // nullptr: plain HTTP, one site
    // By site: requests that wait for a worker.
    std::unique_ptr<std::atomic<std::size_t>[]> waiting = std::make_unique<std::atomic<std::size_t>[]>(sites.size());
};

class session;

// One I/O thread. Each has an io_context of its own, so that all of a connection happens on one thread, without
// strands and without locks.
struct io_loop {
    std::set<session*> live{};           // touched on the loop's own thread only
    std::atomic<bool> stopping = false;  // set at once by stop(), so that no answer after it promises to go on
    net::io_context io{1};               // last, so that it goes first, and with it what is left of the sessions
};

// Counts connections in; a token of it stays with the connection.
using admission = std::shared_ptr<void>;

class session : public std::enable_shared_from_this<session> {
public:
    struct surroundings {
        io_loop& loop;
        served const& here;
        limits const& limit;
        net::thread_pool& workers;
        net::thread_pool& own_workers;
    };
    session(surroundings, std::shared_ptr<stream>, std::string peer_address, admission);
    session(session const&) = delete;
    session& operator=(session const&) = delete;
    ~session();

    // The whole of it. `self` keeps the session while it runs.
    static net::awaitable<void> run(std::shared_ptr<session> self);

    // On the loop's thread. drain: the request in hand is finished and is the last, an idle connection ends now, and
    // one that has just come has a moment for its only request, since its client would take an end for a failure;
    // cut: all ends now, but for a handler that is at work.
    void drain();
    void cut();

private:
    net::awaitable<bool> secure();
    net::awaitable<bool> read_request(request_reader&);
    net::awaitable<bool> begin_body(request_reader&);
    net::awaitable<bool> answer(request_reader&);
    net::awaitable<error_code> write_answer(std::string_view wire, file_part const*, bool close);
    net::awaitable<error_code> write_file(file_part const&);
    void check_site(request_reader&);
    void client_lost(request head, lost_stage);
    response refusal(request const& head, int status, std::string_view why) const;
    response put_off(request const& head) const;
    site const& here() const { return around_.here.sites[site_]; }
    net::thread_pool& workers() const { return here().own_workers ? around_.own_workers : around_.workers; }
    std::chrono::milliseconds patience(std::chrono::milliseconds usual) const;  // with a connection's first request
    void log_end(std::string_view what, std::string_view why);

    surroundings around_;
    std::shared_ptr<stream> stream_;
    std::string peer_address_;
    admission admission_;
    std::string peer_certificate_;
    std::size_t site_ = 0;
    std::string input_;  // received, not yet taken
    bool first_ = true;
    bool idle_ = true;  // no request has begun
};

}  // namespace mdmd::http
