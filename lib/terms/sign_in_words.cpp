#include "terms/sign_in_words.hpp"

#include <array>

namespace mdmd::terms {
namespace {

constexpr std::array<sign_in_words, 7> all{{
    {.tag = "en",
        .signed_in = "You are signed in",
        .goes_on = "Windows goes on by itself. If it does not, choose Continue.",
        .not_signed_in = "Signing in did not work",
        .off = "Devices are not enrolled by signing in on this page here.",
        .cancelled = "The sign-in was cancelled.",
        .not_assigned = "Your account is not among those that may sign in here.",
        .refused = "Your organization's sign-in service did not confirm who you are.",
        .unavailable = "Your organization's sign-in service cannot be reached at the moment. Please try again later."},
    {.tag = "de",
        .signed_in = "Sie sind angemeldet",
        .goes_on = "Windows macht von selbst weiter. Falls nicht, wählen Sie „Weiter“.",
        .not_signed_in = "Die Anmeldung hat nicht geklappt",
        .off = "Geräte werden hier nicht durch eine Anmeldung auf dieser Seite registriert.",
        .cancelled = "Die Anmeldung wurde abgebrochen.",
        .not_assigned = "Ihr Konto gehört nicht zu denen, die sich hier anmelden dürfen.",
        .refused = "Der Anmeldedienst Ihrer Organisation hat nicht bestätigt, wer Sie sind.",
        .unavailable =
            "Der Anmeldedienst Ihrer Organisation ist gerade nicht erreichbar. Bitte versuchen Sie es später noch "
            "einmal."},
    {.tag = "fr",
        .signed_in = "Vous êtes connecté",
        .goes_on = "Windows continue automatiquement. Si ce n’est pas le cas, choisissez Continuer.",
        .not_signed_in = "La connexion a échoué",
        .off = "Les appareils ne s’inscrivent pas ici par une connexion sur cette page.",
        .cancelled = "La connexion a été annulée.",
        .not_assigned = "Votre compte ne fait pas partie de ceux qui peuvent se connecter ici.",
        .refused = "Le service de connexion de votre organisation n’a pas confirmé votre identité.",
        .unavailable =
            "Le service de connexion de votre organisation est injoignable pour le moment. Veuillez réessayer plus "
            "tard."},
    {.tag = "es",
        .signed_in = "Ha iniciado sesión",
        .goes_on = "Windows continúa automáticamente. Si no lo hace, elija Continuar.",
        .not_signed_in = "No se pudo iniciar sesión",
        .off = "Aquí los dispositivos no se inscriben iniciando sesión en esta página.",
        .cancelled = "Se canceló el inicio de sesión.",
        .not_assigned = "Su cuenta no está entre las que pueden iniciar sesión aquí.",
        .refused = "El servicio de inicio de sesión de su organización no confirmó su identidad.",
        .unavailable =
            "En este momento no se puede acceder al servicio de inicio de sesión de su organización. Inténtelo de "
            "nuevo más tarde."},
    {.tag = "ja",
        .signed_in = "サインインしました",
        .goes_on = "Windows が自動的に続行します。続行しない場合は、[続行] を選択してください。",
        .not_signed_in = "サインインできませんでした",
        .off = "ここでは、このページでのサインインによるデバイスの登録は行われていません。",
        .cancelled = "サインインはキャンセルされました。",
        .not_assigned = "お使いのアカウントには、ここでサインインする権限がありません。",
        .refused = "組織のサインイン サービスでご本人であることを確認できませんでした。",
        .unavailable = "現在、組織のサインイン サービスに接続できません。後でもう一度お試しください。"},
    {.tag = "zh-Hans",
        .signed_in = "你已登录",
        .goes_on = "Windows 将自动继续。如果没有继续，请选择“继续”。",
        .not_signed_in = "登录未成功",
        .off = "此处不通过在此页面登录来注册设备。",
        .cancelled = "登录已取消。",
        .not_assigned = "你的帐户无权在此登录。",
        .refused = "组织的登录服务未能确认你的身份。",
        .unavailable = "目前无法连接到组织的登录服务。请稍后重试。"},
    {.tag = "ar",
        .signed_in = "تم تسجيل دخولك",
        .goes_on = "يتابع Windows تلقائيًا. إذا لم يفعل ذلك، فاختر «متابعة».",
        .not_signed_in = "لم ينجح تسجيل الدخول",
        .off = "لا تُسجَّل الأجهزة هنا عن طريق تسجيل الدخول في هذه الصفحة.",
        .cancelled = "أُلغي تسجيل الدخول.",
        .not_assigned = "حسابك ليس من الحسابات التي يُسمح لها بتسجيل الدخول هنا.",
        .refused = "لم تؤكد خدمة تسجيل الدخول في مؤسستك هويتك.",
        .unavailable = "لا يمكن الوصول إلى خدمة تسجيل الدخول في مؤسستك حاليًا. يُرجى المحاولة لاحقًا."},
}};

}  // namespace

constinit std::span<sign_in_words const> const all_sign_in_words = all;

}  // namespace mdmd::terms
