#include "terms/words.hpp"

namespace mdmd::terms {

// Before : ; ! ? stands a no-break space.
constinit words const french{
    .tag = "fr",
    .name = "Français",
    .title = "Conditions d’utilisation de {organization}",
    .signed_in = "Connecté en tant que {user}",
    .version = "Version {version}",
    .accept = "Accepter",
    .decline = "Refuser",
    .pin = "Code PIN à usage unique",
    .pin_hint = "Les huit chiffres que votre service informatique vous a remis.",
    .pin_missing = "Veuillez saisir le code PIN.",
    .pin_wrong = "Ce code PIN n’est pas valide. Veuillez le vérifier et réessayer.",
    .management = "Gestion des appareils",
    .turned_away = "Cet appareil ne peut pas être géré par {organization}",
    .enrollment_off = "L’inscription d’appareils est désactivée.",
    .personal_blocked = "Les appareils personnels ne sont pas acceptés.",
    .not_in_group =
        "Votre compte ne fait pas partie de ceux qui peuvent inscrire des appareils. Veuillez vous adresser "
        "à votre service informatique.",
    .maintenance = "Une maintenance est en cours. Veuillez réessayer plus tard.",
    .pin_locked =
        "Votre code PIN a été bloqué après un trop grand nombre d’essais erronés. Veuillez en demander un "
        "nouveau à votre service informatique.",
    .next = "Continuer",
    .refused = "Cette page ne peut pas être affichée",
    .incomplete =
        "Windows ouvre cette page lorsqu’un appareil rejoint l’organisation. L’adresse utilisée pour l’ouvrir "
        "n’est pas complète.",
    .foreign = "Cette réponse ne correspond à aucune page affichée.",
    .expired = "Le délai est dépassé. Veuillez recommencer.",
    .answered = "Une réponse a déjà été donnée à cette page.",
    .no_such_answer = "Cette réponse ne fait pas partie de celles qui étaient proposées.",
    .text_changed = "Les conditions d’utilisation ont changé entre-temps. Veuillez recommencer.",
    .start_again =
        "Fermez cette fenêtre et recommencez. Si le problème se reproduit, adressez-vous à votre service "
        "informatique.",
    .corporate =
        R"(Cet appareil appartient à {organization}. En le joignant, vous le placez sous la gestion de {organization}.

## {organization} peut

- voir le nom, le modèle, le numéro de série, la version de Windows et l’état de protection de l’appareil
- voir quelles applications y sont installées
- modifier des paramètres, installer et supprimer des applications, et exiger un mot de passe et le chiffrement
- verrouiller l’appareil, le redémarrer ou en effacer tout le contenu

## {organization} ne peut pas

- lire vos messages, vos documents, vos photos ou votre historique de navigation au moyen de cette gestion

La gestion dure aussi longtemps que l’appareil appartient à {organization}.
)",
    .personal =
        R"(En connectant votre propre appareil, vous permettez à {organization} de le gérer, afin qu’il puisse servir au travail.

## {organization} peut

- voir le nom, le modèle, le numéro de série, la version de Windows et l’état de protection de l’appareil
- voir quelles applications y sont installées
- exiger des paramètres tels qu’un mot de passe et le chiffrement, et installer des applications pour le travail
- supprimer ce qui a été mis en place, ou effacer l’appareil s’il est perdu

## {organization} ne peut pas

- lire vos messages, vos documents, vos photos ou votre historique de navigation au moyen de cette gestion

Vous pouvez y mettre fin à tout moment dans Paramètres, Comptes, Accès Professionnel ou Scolaire. Si vous refusez,
l’appareil n’est pas géré et pourrait ne pas avoir accès aux ressources du travail.
)",
};

}  // namespace mdmd::terms
