// The use case of the compliance page: the users of noncompliant devices are told what is wrong and how to mend it.
#pragma once
#include <chrono>

#include "core/http_message.hpp"
#include "service/context.hpp"
#include "store/enrollment.hpp"

namespace mdmd::service {

class compliance_page {
public:
    explicit compliance_page(context& c) : context_(c) {}

    // GET /compliance[?device=LINK]. Without a link, whoever asks reads what anybody may. A link that is forged or
    // expired, or whose device is not enrolled any more, gets one and the same answer.
    http::response show(http::request const&);

    struct link {
        std::string url;
        time_point expires;
    };
    // Whoever has the link sees the device's name, its state and what is wrong with it.
    // Errors: malformed (a time outside 1 s to 90 days), conflict (the device is not enrolled).
    [[nodiscard]] result<link> link_to(store::device const&, std::chrono::seconds ttl);

private:
    context& context_;
};

}  // namespace mdmd::service
