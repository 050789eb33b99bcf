// The use cases together, wired to one another: what listeners, timers and the administrator's interfaces call.
#pragma once
#include "service/application_token.hpp"
#include "service/compliance_page.hpp"
#include "service/consent.hpp"
#include "service/context.hpp"
#include "service/enrollment.hpp"
#include "service/expiry.hpp"
#include "service/groups.hpp"
#include "service/management.hpp"
#include "service/pins.hpp"
#include "service/reminders.hpp"
#include "service/reporter.hpp"
#include "service/signing_keys.hpp"

namespace mdmd::service {

struct appliance {
    appliance(store::database& db, clock const& time, std::shared_ptr<configuration const> config, http::transport out)
        : ctx(db, time, std::move(config), std::move(out)) {}

    context ctx;
    signing_keys keys{ctx};
    application_token token{ctx};
    user_groups groups{ctx, token};
    service::pins pins{ctx};
    terms_of_use terms{ctx, keys, groups, pins};
    compliance_page compliance{ctx};
    enrollment enroll{ctx, keys, groups};
    management manage{ctx};
    reporter report{ctx, token};
    expiries ends{ctx, token};
    reminders remind{ctx, ends};

    // A new configuration takes effect: the keys are tried at once, devices are judged by the new policies.
    void reload(std::shared_ptr<configuration const>, http::transport);
};

}  // namespace mdmd::service
