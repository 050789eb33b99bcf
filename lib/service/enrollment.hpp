// The use cases of MS-MDE2: discover, hand out the certificate policy, enroll a device.
#pragma once
#include <mutex>

#include "core/http_message.hpp"
#include "enroll/messages.hpp"
#include "service/context.hpp"
#include "service/signing_keys.hpp"
#include "store/enrollment.hpp"

namespace mdmd::service {

class enrollment {
public:
    enrollment(context& c, signing_keys& k) : context_(c), keys_(k) {}

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
    bool may_keep_event();

    context& context_;
    signing_keys& keys_;
    std::mutex mutex_;
    time_point window_{};  // events are counted by windows of time, so that strangers cannot wear out the disk
    int in_window_ = 0;
};

}  // namespace mdmd::service
