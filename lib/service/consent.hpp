// The use case of the Terms of Use: who asks is checked, what is decided is kept.
#pragma once
#include "core/http_message.hpp"
#include "service/context.hpp"
#include "service/signing_keys.hpp"

namespace mdmd::service {

class terms_of_use {
public:
    terms_of_use(context& c, signing_keys& k) : context_(c), keys_(k) {}

    http::response show(http::request const&);    // GET: Windows' web view arrives with an Entra token
    http::response decide(http::request const&);  // POST: the form comes back, without any token

private:
    context& context_;
    signing_keys& keys_;
};

// The consent's name in the store: what Windows carries is itself not kept.
std::string consent_id(std::string_view blob);

}  // namespace mdmd::service
