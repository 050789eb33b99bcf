#include "daemon/routes.hpp"

#include "admin/listener.hpp"
#include "core/log.hpp"

namespace mdmd::daemon {
namespace {

struct route {
    std::string_view method;
    std::string_view path;
    http::handler handle;
};

http::response plain(int status, std::string_view text) {
    return {status, {{"Content-Type", "text/plain; charset=utf-8"}, {"X-Content-Type-Options", "nosniff"}},
        std::string(text) + "\n"};
}

// A route whose path ends with a slash is that of all below it.
bool leads_to(std::string_view route, std::string_view path) {
    return iequals(route, route.ends_with('/') ? path.substr(0, route.size()) : path);
}

// Paths are compared without regard to case, as Windows' own services do.
http::response dispatch(std::vector<route> const& routes, http::request const& r) {
    std::string allowed;
    for (auto const& candidate : routes) {
        if (!leads_to(candidate.path, r.path)) continue;
        if (candidate.method == r.method || (candidate.method == "GET" && r.method == "HEAD"))
            return candidate.handle(r);
        if (!allowed.empty()) allowed += ", ";
        allowed += candidate.method;
    }
    if (allowed.empty()) return plain(404, "There is nothing at this address.");
    auto refused = plain(405, "This address does not take that method.");
    refused.headers.add("Allow", allowed);
    return refused;
}

// One line for each request, with what it took.
http::handler logged(std::string_view listener, http::handler inner, log::level level = log::level::info) {
    return [listener, inner = std::move(inner), level](http::request const& r) {
        auto const began = std::chrono::steady_clock::now();
        auto answer = inner(r);
        auto const took = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began);
        log::write(level, "request",
            {{"listener", std::string(listener)}, {"method", r.method}, {"path", r.path},
                {"status", std::to_string(answer.status)}, {"ms", fmt::format("{:.1f}", took.count())},
                {"address", r.peer_address}});
        return answer;
    };
}

http::handler table(std::vector<route> routes) {
    return [routes = std::move(routes)](http::request const& r) { return dispatch(routes, r); };
}

}  // namespace

http::handler public_routes(service::appliance& a) {
    return logged(
        "public", table({
                      {"GET", "/TermsOfUse", [&a](auto const& r) { return a.terms.show(r); }},
                      {"POST", "/TermsOfUse", [&a](auto const& r) { return a.terms.decide(r); }},
                      {"GET", "/TermsOfUse/", [&a](auto const& r) { return a.terms.style(r); }},
                      {"GET", "/packages/", [&a](auto const& r) { return a.packages.serve(r); }},
                      {"GET", "/compliance", [&a](auto const& r) { return a.compliance.show(r); }},
                      {"GET", "/EnrollmentServer/Auth", [&a](auto const& r) { return a.sign_in.begin(r); }},
                      {"GET", "/EnrollmentServer/Auth/Response", [&a](auto const& r) { return a.sign_in.finish(r); }},
                      // Windows first asks whether there is anything at all.
                      {"GET", "/EnrollmentServer/Discovery.svc",
                          [](auto const&) {
                              return http::response{200, {{"Content-Type", "text/html; charset=utf-8"}}, ""};
                          }},
                      {"POST", "/EnrollmentServer/Discovery.svc", [&a](auto const& r) { return a.enroll.discover(r); }},
                      {"POST", "/EnrollmentServer/Policy.svc", [&a](auto const& r) { return a.enroll.policies(r); }},
                      {"POST", "/EnrollmentServer/Enrollment.svc", [&a](auto const& r) { return a.enroll.enroll(r); }},
                  }));
}

void client_lost(service::appliance& a, http::request const& head, bool answering) {
    bool const enrolling = iequals(head.path, "/EnrollmentServer/Enrollment.svc");
    // What became of a request that was read whole is on record: as an event, or as a device that has not come yet.
    if (head.method == "POST" && (enrolling ? !answering : iequals(head.path, "/EnrollmentServer/Policy.svc")))
        a.trouble.lost(head, answering);
}

http::handler management_routes(service::appliance& a) {
    return logged(
        "management", table({
                          {"POST", "/ManagementServer/MDM.svc", [&a](auto const& r) { return a.manage.session(r); }},
                      }));
}

http::handler socket_routes(service::appliance& a, admin::about us) {
    return logged(
        "socket", [&a, us](http::request const& r) { return admin::serve(a, us, r); }, log::level::debug);
}

http::handler admin_routes(
    service::appliance& a, sent_away_by_listener const& away, std::atomic<bool> const& listening) {
    auto others = table({
        {"GET", "/healthz", [](auto const&) { return plain(200, "ok"); }},
        {"GET", "/metrics", [&](auto const&) { return metrics(a, away); }},
        {"GET", "/readyz",
            [&](auto const&) {
                if (!listening) return plain(503, "the listeners are not open");
                if (!a.keys.attempted())
                    return plain(503, "the first attempt to get Entra's signing keys has not ended");
                if (!a.ctx.db.healthy() && !a.ctx.db.probe()) return plain(503, "the store cannot be written");
                return plain(200, "ready");
            }},
    });
    return logged(
        "admin",
        [&a, others = std::move(others)](http::request const& r) { return admin::serve_listener(a, others, r); },
        log::level::debug);
}

}  // namespace mdmd::daemon
