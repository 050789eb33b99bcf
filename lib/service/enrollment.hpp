// The use cases of MS-MDE2: discover, hand out the certificate policy, enroll a device, renew its certificate.
#pragma once
#include "core/http_message.hpp"
#include "service/admission.hpp"
#include "service/attempt.hpp"
#include "service/context.hpp"
#include "service/credentials.hpp"
#include "service/renewal.hpp"
#include "service/troubleshooting.hpp"

namespace mdmd::service {

class enrollment {
public:
    enrollment(context& c, credentials& who, admission& may, renewal& r, troubleshooting& t)
        : context_(c), credentials_(who), admission_(may), renewal_(r), trouble_(t) {}

    http::response discover(http::request const&);
    http::response policies(http::request const&);
    http::response enroll(http::request const&);

private:
    outcome<std::string> issue(enroll::token_request const&, attempt&);

    context& context_;
    credentials& credentials_;
    admission& admission_;
    renewal& renewal_;
    troubleshooting& trouble_;
};

}  // namespace mdmd::service
