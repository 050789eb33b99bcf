#include "admin/authority.hpp"

namespace mdmd::admin {
namespace {

namespace json = boost::json;

json::object to_json(crypto::certificate const& c) {
    return {{"subject", c.subject()}, {"serial", c.serial()}, {"fingerprint", c.fingerprint()},
        {"key_type", c.key_type()}, {"from", rfc3339(c.not_before())}, {"to", rfc3339(c.not_after())},
        {"pem", c.pem()}};
}

}  // namespace

json::object authority_as_json(service::appliance& a) {
    json::array value;
    for (auto const& g : a.ctx.authorities().list()) {
        auto o = to_json(g.what.issuing);
        o["current"] = g.current;
        o["valid"] = g.valid;
        o["ended"] = g.ended;
        o["origin"] = g.what.own ? "own" : "external";
        o["created"] = rfc3339(g.what.created);
        o["devices"] = g.devices;
        o["root"] = to_json(g.what.root);
        value.push_back(std::move(o));
    }
    auto const ends = crypto::end_of(a.ctx.authority());
    auto const validity = a.ctx.config()->settings.enrollment.certificate_validity;
    return {{"value", std::move(value)}, {"ends", rfc3339(ends)}, {"roll_over_by", rfc3339(ends - validity)}};
}

}  // namespace mdmd::admin
