// The use cases of MS-MDE2: discover, hand out the certificate policy, enroll a device.
#pragma once
#include <functional>
#include <mutex>

#include "core/http_message.hpp"
#include "enroll/messages.hpp"
#include "service/context.hpp"
#include "service/groups.hpp"
#include "service/signing_keys.hpp"
#include "store/enrollment.hpp"

namespace mdmd::service {

class enrollment {
public:
    enrollment(context& c, signing_keys& k, user_groups& g) : context_(c), keys_(k), groups_(g) {}

    http::response discover(http::request const&);
    http::response policies(http::request const&);
    http::response enroll(http::request const&);

private:
    // Why a request is refused: one value that becomes SOAP fault, troubleshooting event and log line.
    struct failure {
        enroll::refusal what;
        std::string detail;     // for the log and the event
        std::string text = {};  // for the fault; empty: the table's
    };
    template <class T = void> using outcome = boost::system::result<T, failure>;

    // What is known of who fails, as far as the request got.
    struct attempt {
        std::string correlation_id;
        std::string message_id;
        std::string device_id, os_version;
        std::string user_id, entra_device_id;
        std::string enrollment_type = "unknown";
    };

    outcome<entra::identity> identify(enroll::credential const&, attempt&);
    outcome<std::string> issue(enroll::token_request const&, attempt&);
    http::response refuse(enroll::operation, failure const&, attempt const&);
    http::response refuse_unreadable(enroll::operation, error const&, attempt, http::request const&);
    http::response guarded(enroll::operation, attempt const&, std::function<http::response()> const&);
    bool may_keep_event(bool anonymous);

    context& context_;
    signing_keys& keys_;
    user_groups& groups_;
    std::mutex mutex_;
    // Events are counted by windows of time, so that strangers can neither wear out the disk nor crowd out what
    // happens to users.
    time_point window_{};
    int of_users_ = 0, of_strangers_ = 0;
};

}  // namespace mdmd::service
