"""How languages announce an answer, join two, bound one and take one back: one table, so that another language is one
more entry."""

from __future__ import annotations

from typing import NamedTuple


class Announcement(NamedTuple):
    """The ways in which a language announces an answer. All are alternatives of a pattern, in small letters.

    `nouns` need a copula, a colon or the end of a line after them; `verbs` are complete; `copulas` stand between noun
    and answer; `endings` may follow the answer; `denials` take it back; `ors` and `ands` join answers; `bounds` make a
    value the bound of one.
    """

    nouns: str
    copulas: str
    endings: str = ""
    denials: str = ""
    verbs: str = ""
    ors: str = ""
    ands: str = ""
    bounds: str = ""


LANGUAGES = {
    "English": Announcement(
        nouns=r"final answer|answer|ans",
        copulas=r"(?:should|would|must|will) be|is",
    ),
    "French": Announcement(
        nouns=r"réponse finale|bonne réponse|réponse|résultat final|résultat|bonne option",
        verbs=r"solution (?:est|vaut)(?: donc)?\s",
        copulas=r"est la lettre|est donc|serait|est|doit être|vaut|égale à",
        denials=r"n'est|n’est|pas|faux|fausse|incorrect\pL*|erroné\pL*",
        ors="ou",
        ands="et",
        bounds=r"au moins|au plus|plus d[e']|moins d[e']|supérieur\pL* à|inférieur\pL* à|au minimum|au maximum",
    ),
    "German": Announcement(
        nouns=r"endgültige antwort|richtige antwort|antwort|endergebnis|ergebnis|lösung|resultat|richtige option",
        copulas=r"ist also|ist daher|ist|lautet|wäre|beträgt",
        denials=r"nicht|kein\pL*|falsch\pL*|inkorrekt",
        ors=r"oder|bzw\.",
        ands="und|sowie",
        bounds=r"mindestens|höchstens|wenigstens|mehr als|weniger als|größer als|kleiner als",
    ),
    "Spanish": Announcement(
        nouns=r"respuesta final|respuesta correcta|respuesta|resultado final|resultado|solución|opción correcta"
        r"|alternativa correcta",
        copulas=r"es la letra|es la opción|es la|es|sería|é|será",
        denials=r"no|fals[oa]|incorrect[oa]|erróne[oa]",
        ors="o|u|ó",
        ands="y|e",
        bounds=r"al menos|por lo menos|como mínimo|como máximo|a lo sumo|más de|menos de"
        r"|mayor\pL* (?:que|de|a)|menor\pL* (?:que|de|a)",
    ),
    "Portuguese": Announcement(
        nouns=r"resposta final|resposta correta|resposta|resultado final|resultado|solução|alternativa correta"
        r"|opção correta|letra correta|gabarito",
        copulas=r"é a letra|é a alternativa|é a opção|é|seria",
        denials=r"não|fals[oa]|incorret[oa]|errad[oa]",
        ors="ou",
        ands="e",
        bounds=r"pelo menos|no mínimo|no máximo|mais d[eo]|menos d[eo]|maior\pL* (?:do )?que|menor\pL* (?:do )?que",
    ),
    "Italian": Announcement(
        nouns=r"risposta finale|risposta corretta|risposta|risultato finale|risultato|soluzione|opzione corretta",
        copulas=r"è la lettera|è la|è|sarebbe",
        denials=r"non|fals[oa]|sbagliat[oa]",
        ors="o|oppure",
        ands="e|ed",
        bounds=r"almeno|al massimo|al più|più di|meno di|maggior\pL* di|minor\pL* di",
    ),
    "Polish": Announcement(
        nouns=r"odpowiedź|odpowiedzią|wynik",
        copulas=r"to|jest|wynosi|brzmi",
        denials=r"nie|błędn\pL*",
        ors="lub|albo",
        ands="i|oraz",
        bounds=r"co najmniej|co najwyżej|więcej niż|mniej niż",
    ),
    "Dutch": Announcement(
        nouns=r"eindantwoord|antwoord|resultaat",
        copulas=r"is|luidt",
        denials=r"niet|geen|fout\pL*",
        ors="ofwel",
        ands="alsook",
        bounds=r"minstens|hoogstens|meer dan|minder dan|ten minste",
    ),
    "Swedish": Announcement(
        nouns=r"slutsvaret|svaret|svar",
        copulas=r"är|blir",
        denials=r"inte|ej|fel\pL*",
        ors="eller",
        ands="och",
        bounds=r"minst|högst|mer än|mindre än",
    ),
    "Ukrainian": Announcement(
        nouns=r"остаточна відповідь|правильна відповідь|відповідь|результат",
        copulas=r"[-—–]|це|дорівнює",
        denials=r"не|неправильн\pL*",
        ors="або|чи",
        ands="і|та|й",
        bounds=r"щонайменше|щонайбільше|більше|менше|не менше|не більше",
    ),
    "Indonesian": Announcement(
        nouns=r"jawaban akhirnya|jawaban akhir|jawabannya|jawaban|hasilnya",
        copulas=r"adalah|ialah",
        denials=r"bukan|tidak|salah",
        ors="atau",
        ands="dan",
        bounds=r"paling sedikit|setidaknya|lebih dari|kurang dari|paling banyak",
    ),
    "Czech": Announcement(
        nouns=r"odpověď|výsledek",
        copulas=r"je",
        denials=r"není|ne|špatn\pL*",
        ors="nebo|či",
        ands="a také",
        bounds=r"alespoň|nejméně|nejvýše|více než|méně než",
    ),
    "Romanian": Announcement(
        nouns=r"răspunsul final|răspunsul|răspuns|rezultatul",
        copulas=r"este|e",
        denials=r"nu|greșit\pL*",
        ors="sau",
        ands="și",
        bounds=r"cel puțin|cel mult|mai mult de|mai puțin de",
    ),
    "Russian": Announcement(
        nouns=r"окончательный ответ|правильный ответ|итоговый ответ|верный ответ|ответ|результат",
        copulas=r"[-—–]|это|равен|будет|является",
        denials=r"не|неверн\pL*|неправильн\pL*|ошиб\pL*",
        ors="или|либо",
        ands="и",
        bounds=r"не менее|не более|хотя бы|как минимум|не больше|не меньше|по крайней мере|больше|меньше|более|менее",
    ),
    "Turkish": Announcement(
        nouns=r"nihai cevap|doğru cevap|son cevap|cevap|nihai yanıt|doğru yanıt|yanıt|doğru seçenek|"
        r"sonuç",
        copulas=r"ise|olarak",
        endings=r"['’]?(?:d[iıuü]r|t[iıuü]r)|olur|olarak bulunur|seçeneğidir|şıkkıdır|seçeneği|şıkkı",
        denials=r"değil\pL*|yanlış\pL*",
        ors="veya|ya da|yahut",
        ands="ve|ile",
        bounds=r"en az|en fazla|en çok|daha fazla|daha az|(?:den|dan|ten|tan) (?:fazla|az|çok|büyük|küçük)\pL*",
    ),
    "Vietnamese": Announcement(
        nouns=r"đáp án cuối cùng|đáp án đúng|đáp án|đáp số|câu trả lời cuối cùng|câu trả lời đúng|"
        r"câu trả lời|kết quả cuối cùng|kết quả",
        copulas=r"là",
        denials=r"không|sai",
        ors="hoặc",
        ands="và",
        bounds=r"ít nhất|nhiều nhất|tối thiểu|tối đa|lớn hơn|nhỏ hơn|nhiều hơn|ít hơn|hơn",
    ),
    "Greek": Announcement(
        nouns=r"τελική απάντηση|σωστή απάντηση|απάντηση|απαντηση|σωστή επιλογή",
        copulas=r"είναι(?: η| το| ο)?",
        denials=r"δεν|όχι|λάθος",
        ors="ή",
        ands="και",
        bounds=r"τουλάχιστον|το πολύ|περισσότερ\pL*(?: από)?|λιγότερ\pL*(?: από)?"
        r"|μεγαλύτερ\pL* (?:του|από)|μικρότερ\pL* (?:του|από)",
    ),
    "Hebrew": Announcement(
        nouns=r"התשובה הסופית|התשובה הנכונה|תשובה סופית|התשובה|תשובה",
        copulas=r"היא|הוא|הינה",
        denials=r"לא|אינה|אינו|שגויה",
        ors="או",
        ands="ו|וגם",
        bounds=r"לפחות|לכל היותר|יותר מ-?|פחות מ-?|גדול מ-?|קטן מ-?",
    ),
    "Arabic": Announcement(
        nouns=r"(?:الإجابة|الاجابة|إجابة|الجواب|جواب)(?: النهائية| النهائي| الصحيحة| الصحيح)?|الناتج|"
        r"الحل",
        copulas=r"هي|هو|تساوي|يساوي|ستكون",
        denials=r"ليس|ليست|لا|غير|خطأ|خاطئة",
        ors="أو|او",
        ands="و",
        bounds=r"على الأقل|على الأكثر|أكثر من|أقل من|أكبر من|أصغر من",
    ),
    "Hindi": Announcement(
        nouns=r"अंतिम उत्तर|सही उत्तर|उत्तर|अंतिम जवाब|सही जवाब|जवाब|सही विकल्प",
        copulas=r"है|होगा",
        endings=r"है|हैं|होगा",
        denials=r"नहीं|गलत",
        ors="या|अथवा",
        ands="और|तथा|एवं",
        bounds=r"कम से कम|अधिक से अधिक|ज़्यादा से ज़्यादा|से अधिक|से कम|से ज़्यादा|से ज्यादा|से बड़ा|से छोटा",
    ),
    "Thai": Announcement(
        nouns=r"คำตอบสุดท้าย|คำตอบที่ถูกต้อง|การเลือกที่ถูกต้อง|ตัวเลือกที่ถูกต้อง|ข้อที่ถูกต้อง|"
        r"คำตอบ|ตอบ|เฉลย",
        copulas=r"คือข้อ|คือ|เป็น|ข้อ|เท่ากับ",
        denials=r"ไม่\S*|ผิด",
        ors="หรือ",
        ands="และ|กับ",
        bounds=r"อย่างน้อย|อย่างมาก|มากกว่า|น้อยกว่า|ไม่เกิน|เกินกว่า",
    ),
    "Korean": Announcement(
        nouns=r"최종 ?답안|최종 ?답|최종 ?정답|정답|답안|답",
        copulas=r"은|는|이|가",
        endings=r"입니다|이다|이에요|예요|이며|번입니다|번이다|번|다",
        denials=r"아니\S*|아닙\S*|않\S*|틀\S*",
        ors="또는|혹은|이거나|거나",
        ands="그리고|및|와|과",
        bounds=r"이상|이하|초과|미만|최소|최대|적어도|많아도|보다",
    ),
    "Chinese": Announcement(
        nouns=r"最终答案|最終答案|正确答案|正確答案|标准答案|答案|正确选项|答",
        copulas=r"是|为|為|选|選|应为|應為|应该是|等于|等於",
        denials=r"不\S*|错\S*|錯\S*|非\S*",
        verbs=r"故选择|故选|故選|因此选择|因此选|所以选择|所以选|应选|選擇|选择",
        ors="或者|或是|或",
        ands="和|与|及|以及|與",
        bounds=r"至少|至多|最多|最少|不少于|不多于|超过|大于|小于|多于|少于|以上|以下",
    ),
    "Japanese": Announcement(
        nouns=r"最終的な答え|最終回答|答え|正解|解答|答",
        copulas=r"は|が",
        endings=r"です|である|になります|となります|だ",
        denials=r"では\S*|ない\S*|不正解",
        ors="または|もしくは|あるいは|か",
        ands="と|及び|および",
        bounds=r"少なくとも|多くとも|以上|以下|より大き\S*|より小さ\S*|未満|最低でも|最大でも|せいぜい",
    ),
}
