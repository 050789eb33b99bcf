#include "service/appliance.hpp"

namespace mdmd::service {

void appliance::tend_sessions() {
    sessions.tick();
    orders.tick();
}

void appliance::look_up_people() {
    groups.tick();
    claims.tick();
}

void appliance::reload(std::shared_ptr<configuration const> next, http::transport out) {
    auto const before = ctx.config();
    auto const& a = before->settings.entra;
    auto const& b = next->settings.entra;
    bool const other_tenant = a.tenant_id != b.tenant_id || a.login_url != b.login_url;
    ctx.replace(std::move(next), std::move(out));
    if (other_tenant) {
        keys.forget();
        groups.forget();
        accounts.forget();
    }
    keys.retry_now();
    token.reload();
    ends.ask_again();
    push.reload();
    claims.retry_now();
    report.retry_now();
    ctx.db.write([&](store::connection& db) { store::retry_reports_now(db, ctx.time.now()); });
    report.judge_all();
}

}  // namespace mdmd::service
