// What a device does with the commands of one server's message, and what it owes the server for them.
#pragma once
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "csp_tree.hpp"
#include "syncml.hpp"
#include "syncml_client.hpp"

namespace mdmd::sim {

// One Status, Results or Alert of a message that is to be sent.
struct answer_piece {
    enum class kind { status, results, alert } what;
    int msg_ref = 0, cmd_ref = 0;
    std::string cmd = {};  // of a Status
    int code = 0;
    std::string target_ref = {}, original_error = {};
    std::string uri = {}, format = {}, value = {};  // of Results
    std::size_t sent = 0;                           // octets of the value that went with earlier pieces
    client_alert alert = {};
};

class command_runner {
public:
    using objection = std::function<void(std::string)>;
    // `tells_errors`: failing Status have msft:originalerror.
    command_runner(session_setup const&, csp_tree&, on_exec const&, session_report&, objection, bool tells_errors);

    // Without the Status of SyncHdr. A piece of a large object is kept, and asked for its rest.
    std::deque<answer_piece> carry_out(server_message const&);
    // As carry_out, but nothing is done, and every command gets this code.
    std::deque<answer_piece> refuse(server_message const&, int code) const;
    bool dropped() const { return dropped_; }  // an Exec ended the session

private:
    struct outcome {
        int code;
        csp_result got;
    };
    struct large_object {
        std::string name, uri, format, data;
        std::optional<std::size_t> size;
    };

    outcome one(sync_command const&, sync_item const&);
    int scope_refusal(std::string_view uri) const;  // 0: none
    int exec(sync_item const&);
    void took_effect(sync_command const&, sync_item const&);
    answer_piece status(sync_command const&, int code, std::string target_ref = {}) const;
    void plain(sync_command const&, std::deque<answer_piece>&);
    void atomic(sync_command const&, std::deque<answer_piece>&);
    void sequence(sync_command const&, std::deque<answer_piece>&);
    int tried(sync_command const&);  // within an Atomic
    void check_atomic(sync_command const&);
    bool piece(sync_command const&, std::deque<answer_piece>&);
    void give_up_object(std::deque<answer_piece>&);

    session_setup const& setup_;
    csp_tree& tree_;
    on_exec const& exec_done_;
    session_report& report_;
    objection violation_;
    bool tells_errors_;
    int msg_ref_ = 0;
    std::optional<large_object> object_;
    std::vector<answer_piece> late_results_;
    bool dropped_ = false;
};

}  // namespace mdmd::sim
