// A device is judged, and what Entra is to be told is decided, in one write.
#pragma once
#include <string>
#include <string_view>

#include "compliance/report.hpp"
#include "service/context.hpp"
#include "store/compliance.hpp"
#include "store/enrollment.hpp"
#include "store/management.hpp"

namespace mdmd::service {

// What of a device its policies go by. Whose groups are known is the caller's to add.
policy::device_traits traits_of(store::device const&, compliance::facts const&, config::settings const&);
compliance::facts facts_of(std::vector<store::fact> const&);
compliance::subject subject_of(
    store::connection&, configuration const&, store::device const&, compliance::facts const&);

compliance::verdict to_verdict(store::verdict const&);
store::verdict to_stored(std::string_view device_id, compliance::verdict const&);
compliance::report to_report(store::report const&);
store::report to_stored(std::string_view device_id, std::string_view entra_device_id, compliance::report const&);

std::vector<compliance::reason> reasons_from(std::string const& json);

// Evaluates the device by what the store knows, writes the verdict and the report where they changed, and does what its
// policies have for a device that fails them. Within a write of the caller's. True: the device has been ordered
// something, and may be woken.
bool evaluate_device(store::connection&, configuration const&, std::string_view device_id, time_point now);
// The same by these facts, which are what the store has.
bool evaluate_device(
    store::connection&, configuration const&, std::string_view device_id, compliance::facts const&, time_point now);

// The device is not ours any more: Entra is told that it is neither managed nor compliant.
void report_unmanaged(store::connection&, store::device const&, time_point now);

}  // namespace mdmd::service
