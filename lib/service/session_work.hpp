// What one message of a management session reads, decides and changes: gathered before it is written, in one write.
#pragma once
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "omadm/session.hpp"
#include "policy/apps.hpp"
#include "policy/policy.hpp"
#include "service/context.hpp"
#include "service/push.hpp"
#include "service/session_facts.hpp"
#include "service/session_orders.hpp"
#include "service/session_settings.hpp"
#include "service/session_state.hpp"
#include "service/status_page.hpp"
#include "store/certificates.hpp"
#include "store/enrollment.hpp"
#include "store/management.hpp"
#include "store/push.hpp"

namespace mdmd::service {

class session_work {
public:
    session_work(std::shared_ptr<configuration const>, push const&, store::device, std::optional<store::certificate>,
        time_point now);

    // Reads what is known of the device, and of the user who is there.
    void load(store::connection&, presence const&);
    // What the last message of the session left to be sent.
    void resume(session_state const&);
    // A session begins: what is owed of settings, first sign-in, apps and reads. `last`: the one before.
    void begin(std::optional<store::session> const& last);
    // Takes in what a message says of the device and of what it was sent. Follow-ups go to what is to be sent.
    void take(omadm::intake const&);
    // And what it tells by itself, once it is known what is wanted.
    void hear(omadm::intake const&);
    // What is to be sent, in order: settings written and removed, then the administrator's orders, then what is read,
    // so that rules see what was just done. When nothing is left, what ends a first sign-in.
    std::vector<omadm::wanted> queue(omadm::intake const&);
    // What of that queue went out, and what never can.
    void sent(std::vector<omadm::wanted> const& queue, omadm::answer const&);

    // A command was taken back, or has expired, since load(): nothing of this work may be kept or sent.
    using outdated = session_orders::outdated;
    // Writes it all. False: the certificate was revoked in the meantime, and nothing is kept. Throws outdated.
    bool keep(store::connection&, store::session const& next, omadm::intake const&);

    session_state state(omadm::session) const;  // for the next message
    bool eventful() const { return eventful_; }
    // The device was read whole in this session. A user's part of it alone is not that.
    bool refreshed() const { return refreshing_ && there_.device_scope && todo_.empty(); }
    presence const& there() const { return there_; }

private:
    policy::device_traits traits() const;
    policy::person person_of(std::string const& user_id, std::string const& upn) const;
    bool has_apps_of(config::policy_file const&, policy::device_traits const&) const;
    void ask(std::string const& node);
    void add(std::vector<omadm::wanted>);
    void add(std::optional<omadm::wanted>);
    void plan_settings();
    void plan_page();
    void plan_reads();
    void take_setting(omadm::outcome const&);
    void take_fact(std::string const& node, omadm::outcome const&);
    void take_push(omadm::outcome const&);
    void keep_end(store::connection&, omadm::intake const&);
    void keep_identity(store::connection&) const;
    void keep_users(store::connection&) const;

    std::shared_ptr<configuration const> config_;
    push const& push_;
    store::device device_;
    std::optional<store::certificate> certificate_;
    time_point now_;
    presence there_;
    bool new_session_ = false;
    bool refreshing_ = false;
    bool eventful_ = false;

    session_settings settings_;
    session_facts facts_;
    session_orders orders_;
    status_page page_;
    policy::app_map apps_before_, apps_;
    policy::desired_apps wanted_apps_;
    std::optional<store::push_channel> channel_;  // as it was known before
    std::optional<std::string> channel_uri_;      // as the device tells it now
    std::optional<int> channel_status_;
    std::optional<store::user_groups> enroller_groups_, user_groups_;
    std::optional<store::device_user> device_user_;  // the one that is there, as it was seen before
    bool came_back_ = false;                         // it had taken the order to end, and is here as if nothing were
    std::vector<omadm::wanted> todo_;
    std::set<std::string> asked_;
};

}  // namespace mdmd::service
