// An enrolled device whose every message is written by hand, and what an administrator has it do, without a program of
// its own for each request.
#pragma once
#include "e2e/appliance.hpp"

namespace mdmd::e2e {

class hand {
public:
    // A device that has joined and been read whole, so that nothing but what is ordered is asked of it.
    hand(world&, std::string name, std::string const& upn = "alice@contoso.test");

    std::string const& name() const { return name_; }
    sim::device& device() { return *device_; }

    // Connects anew, to an appliance that was started again.
    void reach(world&);

    // A session of its own, with a number that none had before.
    void begin();
    // One message of it: the body of SyncBody but for Final, and more of SyncHdr behind Source.
    std::string message(std::string const& body, bool final = true, std::string const& header = {});
    http::call call(std::string body) const;
    result<http::response> try_send(http::call const& c) { return client_->send(c); }
    http::response send(http::call const&);  // throws where there is no answer
    // Sends the next message and reads the answer, which has to be 200 and what Windows can take.
    sim::server_message say(std::string const& body, bool final = true, std::string const& header = {});

    // Begins a session with an Alert 1201 of CmdID 2.
    sim::server_message open() { return begin(), say(alert(2, 1201)); }
    // Answers each command of a message with a status (a Get with 200: with a value too) and says on; to the end.
    void finish(sim::server_message const&, int status = 200);

    static std::string alert(int cmd_id, int code) {
        return fmt::format("<Alert><CmdID>{}</CmdID><Data>{}</Data></Alert>", cmd_id, code);
    }
    // Of the last answer's header.
    std::string header_ok() const;

    int session_id = 1000, msg_id = 0;
    int answered = 0;  // MsgID of the last answer

private:
    std::string name_;
    std::unique_ptr<sim::device> device_;
    std::optional<http::client> client_;
};

// "S0=200 S2=200 S=400 A1222 Get5=./X F": statuses by CmdRef, alerts, commands by CmdID, what is in an Atomic in
// brackets, Final.
std::string in_short(sim::server_message const&);
// The commands of a message, those in an Atomic too, without the Atomic and alerts.
std::vector<sim::sync_command> flat(sim::server_message const&);

// The admin socket.
class administrator {
public:
    explicit administrator(appliance const&);
    // Queues a command, {"verb":…} or {"kind":…}; its id. Throws where that is refused.
    std::string order(std::string const& device, std::string const& json);
    std::map<std::string, boost::json::object> commands(std::string const& device);  // by id
    boost::json::object command(std::string const& device, std::string const& id);
    // "done 200 value", "failed 404", "queued", "unknown"
    std::string outcome(std::string const& device, std::string const& id);
    boost::json::value get(std::string const& path);

private:
    http::client client_;
};

// Resident memory of a process in bytes.
std::size_t resident(pid_t);

#ifdef __SANITIZE_ADDRESS__
inline constexpr bool sanitized = true;  // what is freed is kept aside then
#else
inline constexpr bool sanitized = false;
#endif

}  // namespace mdmd::e2e
