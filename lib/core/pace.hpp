#pragma once
#include <algorithm>

#include "core/time.hpp"

namespace mdmd {

// How much may be asked of a server in a while: so much in one go, and so much a second after that.
class pace {
public:
    pace(int a_second, int in_one_go) : a_second_(a_second), most_(in_one_go), left_(in_one_go) {}

    // Takes them all, or none where so many are not to be had yet.
    bool take(std::size_t many, time_point now) {
        if (now > last_)
            left_ = std::min(most_, left_ + std::chrono::duration<double>(now - last_).count() * a_second_);
        last_ = now;
        if (left_ + least_part < static_cast<double>(many)) return false;
        left_ -= static_cast<double>(many);
        return true;
    }

private:
    static constexpr double least_part = 1e-6;  // what a sum of fractions may lack

    double a_second_, most_, left_;
    time_point last_{};
};

}  // namespace mdmd
