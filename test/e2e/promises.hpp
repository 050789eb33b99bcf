// Work of every kind at once, and a record of what the appliance has said yes to: what must be there after anything.
#pragma once
#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "e2e/appliance.hpp"

namespace mdmd::e2e {

// What mdmd has said yes to; every thread writes here what it was told, before it goes on.
struct promises {
    std::map<std::string, int> queued;            // command id -> node that it reads
    std::set<int> told;                           // nodes whose value was told in a session that came to its end
    std::map<std::string, std::string> enrolled;  // folder of the device -> Entra device id
};

// Of promises, how many are broken.
struct broken {
    int commands = 0, results = 0, devices = 0;
    int all() const { return commands + results + devices; }
};

class mixed_load {
public:
    // The appliance runs. Joins the device that commands are for, ALICE-PC, whose nodes have a value each.
    // Each node is asked for once; `pause` lies between two commands of the same source.
    mixed_load(world&, int nodes, std::chrono::milliseconds pause = {});

    // Queues commands by mdmctl and by the socket, has sessions, enrolls devices, until it is stopped. The appliance
    // may die under it.
    class work {
    public:
        explicit work(mixed_load&);

    private:
        std::vector<std::jthread> threads_;
    };

    promises taken();  // so far
    // What an appliance that was started again, or a copy of its database, has of them.
    broken missing(promises const&) const;
    static broken missing_in(std::filesystem::path const& database, promises const&);
    // A session of ALICE-PC's; what it did counts as told.
    sim::session_report sync();
    // A session of everybody who was told yes. Every command has been done then.
    void check_all_served();

private:
    void note_told(sim::session_report const&);
    void queue(std::stop_token const&, std::function<std::string(std::string const& uri)> const& ask);
    void join(std::stop_token const&);

    world& w_;
    int nodes_;
    std::chrono::milliseconds pause_;
    std::unique_ptr<sim::device> alice_;
    std::mutex mutex_;
    promises p_;
    std::atomic<int> next_node_ = 0, next_device_ = 0;
};

}  // namespace mdmd::e2e
