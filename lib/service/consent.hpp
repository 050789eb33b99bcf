// The use case of the Terms of Use: who asks is checked, what is decided is kept.
#pragma once
#include "core/http_message.hpp"
#include "service/admission.hpp"
#include "service/context.hpp"
#include "service/groups.hpp"
#include "service/pins.hpp"
#include "service/signing_keys.hpp"
#include "service/troubleshooting.hpp"
#include "terms/terms.hpp"

namespace mdmd::service {

class terms_of_use {
public:
    terms_of_use(context& c, signing_keys& k, user_groups& g, pins& p, admission& a, troubleshooting& t)
        : context_(c), keys_(k), groups_(g), pins_(p), admission_(a), trouble_(t) {}

    http::response show(http::request const&);    // GET: Windows' web view arrives with an Entra token
    http::response decide(http::request const&);  // POST: the form comes back, without any token
    // GET /TermsOfUse/css/…: the customer's style, for whoever asks.
    http::response style(http::request const&);

private:
    http::response keep(
        configuration const&, terms::appearance const&, terms::form_state const&, attempt const&, std::string_view pin);
    http::response turn_away(terms::appearance const&, terms::query const&, failure const&, attempt const&);

    context& context_;
    signing_keys& keys_;
    user_groups& groups_;
    pins& pins_;
    admission& admission_;
    troubleshooting& trouble_;
};

// The consent's name in the store: what Windows carries is itself not kept.
std::string consent_id(std::string_view blob);

// What a text of the configuration is called, and what is in it. Problems name files of settings.terms.directory.
terms::library::compiled compile_texts(config::settings const&);

}  // namespace mdmd::service
