// The use cases together, wired to one another: what listeners, timers and the administrator's interfaces call.
#pragma once
#include "service/accounts.hpp"
#include "service/admission.hpp"
#include "service/api_access.hpp"
#include "service/application_token.hpp"
#include "service/compliance_page.hpp"
#include "service/consent.hpp"
#include "service/context.hpp"
#include "service/credentials.hpp"
#include "service/delivery.hpp"
#include "service/enrollment.hpp"
#include "service/entra_claims.hpp"
#include "service/expiry.hpp"
#include "service/groups.hpp"
#include "service/management.hpp"
#include "service/order_upkeep.hpp"
#include "service/packages.hpp"
#include "service/pins.hpp"
#include "service/push.hpp"
#include "service/reminders.hpp"
#include "service/renewal.hpp"
#include "service/reporter.hpp"
#include "service/sign_in.hpp"
#include "service/signing_keys.hpp"
#include "service/tally.hpp"
#include "service/trace.hpp"
#include "service/troubleshooting.hpp"

namespace mdmd::service {

struct appliance {
    appliance(store::database& db, clock const& time, std::shared_ptr<configuration const> config, http::transport out)
        : ctx(db, time, std::move(config), std::move(out)) {}

    context ctx;
    signing_keys keys{ctx};
    api_access access{ctx, keys};
    application_token token{ctx};
    user_groups groups{ctx, token};
    service::accounts accounts{ctx, token};
    service::entra_claims claims{ctx, token};
    service::pins pins{ctx};
    troubleshooting trouble{ctx};
    admission may{ctx, groups, accounts};
    credentials who{ctx, keys};
    service::sign_in sign_in{ctx, keys, token, trouble};
    terms_of_use terms{ctx, keys, groups, pins, may, trouble};
    compliance_page compliance{ctx};
    service::renewal renew{ctx};
    enrollment enroll{ctx, who, may, renew, trouble};
    service::push push{ctx};
    trace sessions{ctx};
    order_upkeep orders{ctx};
    management manage{ctx, keys, push, sessions};
    service::tally tally{ctx};
    reporter report{ctx, token, [this](std::string const& device) { push.wake(device); }};
    service::packages packages{ctx};
    expiries ends{ctx, token};
    reminders remind{ctx, ends};
    service::notices notices{ctx};

    // Called by the timer: what sessions leave to be done behind them. Waits for nobody but the store.
    void tend_sessions();

    // By a timer of its own, since Graph may take its time: what Entra knows of users and their devices.
    void look_up_people();

    // A new configuration takes effect: the keys are tried at once, devices are judged by the new policies.
    void reload(std::shared_ptr<configuration const>, http::transport);
};

}  // namespace mdmd::service
