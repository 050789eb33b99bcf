// The repository of the channels by which devices are woken.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "store/connection.hpp"

namespace mdmd::store {

struct push_channel {
    std::string device_id;
    std::string uri;           // empty: none
    std::int64_t status = -1;  // the device's Push/Status; -1: not told
    time_point since;          // when these were first heard
};
void put_push_channel(connection&, push_channel const&);
std::optional<push_channel> find_push_channel(connection&, std::string_view device_id);
// Takes the channel from the record, unless another has come meanwhile.
void drop_push_channel(connection&, std::string_view device_id, std::string_view uri);

}  // namespace mdmd::store
