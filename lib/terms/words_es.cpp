#include "terms/words.hpp"

namespace mdmd::terms {

constinit words const spanish{
    .tag = "es",
    .name = "Español",
    .title = "Términos de uso de {organization}",
    .signed_in = "Sesión iniciada como {user}",
    .version = "Versión {version}",
    .accept = "Aceptar",
    .decline = "Rechazar",
    .pin = "PIN de un solo uso",
    .pin_hint = "Los ocho dígitos que le ha dado su departamento de informática.",
    .pin_missing = "Escriba el PIN.",
    .pin_wrong = "Este PIN no es válido. Compruébelo e inténtelo de nuevo.",
    .management = "Administración de dispositivos",
    .turned_away = "{organization} no puede administrar este dispositivo",
    .enrollment_off = "La inscripción de dispositivos está desactivada.",
    .personal_blocked = "No se aceptan dispositivos personales.",
    .not_in_group =
        "Su cuenta no es de las que pueden inscribir dispositivos. Consulte a su departamento de informática.",
    .maintenance = "Se están realizando tareas de mantenimiento. Inténtelo de nuevo más tarde.",
    .pin_locked =
        "Su PIN se ha bloqueado tras demasiados intentos erróneos. Pida uno nuevo a su departamento de "
        "informática.",
    .next = "Continuar",
    .refused = "No se puede mostrar esta página",
    .incomplete =
        "Windows abre esta página cuando un dispositivo se une a la organización. La dirección con la que se ha "
        "abierto no está completa.",
    .foreign = "Esta respuesta no corresponde a ninguna página que se haya mostrado.",
    .expired = "Ha transcurrido demasiado tiempo. Empiece de nuevo.",
    .answered = "Esta página ya se ha respondido.",
    .no_such_answer = "Esta respuesta no es una de las que se ofrecían.",
    .text_changed = "Los términos de uso han cambiado entretanto. Empiece de nuevo.",
    .start_again =
        "Cierre esta ventana y empiece de nuevo. Si vuelve a ocurrir, avise a su departamento de informática.",
    .corporate =
        R"(Este dispositivo pertenece a {organization}. Al unirlo, queda bajo la administración de {organization}.

## {organization} puede

- ver el nombre, el modelo, el número de serie, la versión de Windows y el estado de protección del dispositivo
- ver qué aplicaciones están instaladas en él
- cambiar la configuración, instalar y quitar aplicaciones, y exigir una contraseña y el cifrado
- bloquear el dispositivo, reiniciarlo o borrar todo su contenido

## {organization} no puede

- leer su correo, sus documentos, sus fotos ni su historial de navegación por medio de esta administración

La administración dura mientras el dispositivo pertenezca a {organization}.
)",
    .personal =
        R"(Al conectar su propio dispositivo, usted permite que {organization} lo administre para que pueda usarse en el trabajo.

## {organization} puede

- ver el nombre, el modelo, el número de serie, la versión de Windows y el estado de protección del dispositivo
- ver qué aplicaciones están instaladas en él
- exigir ajustes como una contraseña y el cifrado, e instalar aplicaciones para el trabajo
- quitar lo que se haya configurado, o borrar el dispositivo si se pierde

## {organization} no puede

- leer su correo, sus documentos, sus fotos ni su historial de navegación por medio de esta administración

Usted puede ponerle fin en cualquier momento en Configuración, Cuentas, Obtener acceso a trabajo o escuela. Si rechaza,
el dispositivo no se administra y es posible que no pueda abrir recursos del trabajo.
)",
};

}  // namespace mdmd::terms
