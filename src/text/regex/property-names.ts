// The names of Unicode properties that Oniguruma knows, as JavaScript's regular expressions spell them. Upper and lower case, spaces,
// hyphens and underscores do not count in a name. Not known are blocks (In_…), and properties that Unicode 17 changed for old characters.

import { HEX_DIGIT, pinned, SPACE, wordCharacter, wordInClass } from "./char-set.ts";

const CATEGORIES =
  "L Letter|LC Cased_Letter|Lu Uppercase_Letter|Ll Lowercase_Letter|Lt Titlecase_Letter|Lm Modifier_Letter|Lo Other_Letter|M Mark " +
  "Combining_Mark|Mn Nonspacing_Mark|Mc Spacing_Mark|Me Enclosing_Mark|N Number|Nd Decimal_Number|Nl Letter_Number|No Other_Number|" +
  "P Punctuation|Pc Connector_Punctuation|Pd Dash_Punctuation|Ps Open_Punctuation|Pe Close_Punctuation|Pi Initial_Punctuation|" +
  "Pf Final_Punctuation|Po Other_Punctuation|S Symbol|Sm Math_Symbol|Sc Currency_Symbol|Sk Modifier_Symbol|So Other_Symbol|" +
  "Z Separator|Zs Space_Separator|Zl Line_Separator|Zp Paragraph_Separator|Cc Control|Cf Format|Co Private_Use|Cs Surrogate";

const BINARY =
  "Alphabetic|Uppercase|Lowercase|White_Space|Emoji|Emoji_Presentation|Emoji_Modifier|Emoji_Modifier_Base|Emoji_Component|" +
  "Ideographic|ID_Start|ID_Continue|XID_Start|XID_Continue|Math|Dash|Hex_Digit|Cased|Case_Ignorable|Grapheme_Base|Grapheme_Extend|" +
  "Join_Control|Variation_Selector|Quotation_Mark|Radical|Regional_Indicator|Sentence_Terminal|Soft_Dotted|Terminal_Punctuation|" +
  "Unified_Ideograph|ASCII_Hex_Digit|Bidi_Control|Changes_When_Lowercased|Changes_When_Casefolded|Deprecated|IDS_Binary_Operator|" +
  "IDS_Trinary_Operator|Logical_Order_Exception";

// These do not depend on which characters are assigned.
const FIXED =
  "Any|ASCII|Default_Ignorable_Code_Point|Noncharacter_Code_Point|Pattern_White_Space|Pattern_Syntax";

const SCRIPTS =
  "Adlam Adlm|Caucasian_Albanian Aghb|Ahom|Arabic Arab|Imperial_Aramaic Armi|Armenian Armn|Avestan Avst|Balinese Bali|Bamum Bamu|" +
  "Bassa_Vah Bass|Batak Batk|Bengali Beng|Bhaiksuki Bhks|Bopomofo Bopo|Brahmi Brah|Braille Brai|Buginese Bugi|Buhid Buhd|Chakma Cakm|" +
  "Canadian_Aboriginal Cans|Carian Cari|Cham|Cherokee Cher|Chorasmian Chrs|Coptic Copt Qaac|Cypro_Minoan Cpmn|Cypriot Cprt|Cyrillic Cyrl|" +
  "Devanagari Deva|Dives_Akuru Diak|Dogra Dogr|Deseret Dsrt|Duployan Dupl|Egyptian_Hieroglyphs Egyp|Elbasan Elba|Elymaic Elym|" +
  "Ethiopic Ethi|Garay Gara|Georgian Geor|Glagolitic Glag|Gunjala_Gondi Gong|Masaram_Gondi Gonm|Gothic Goth|Grantha Gran|Greek Grek|" +
  "Gujarati Gujr|Gurung_Khema Gukh|Gurmukhi Guru|Hangul Hang|Han Hani|Hanunoo Hano|Hatran Hatr|Hebrew Hebr|Hiragana Hira|" +
  "Anatolian_Hieroglyphs Hluw|Pahawh_Hmong Hmng|Nyiakeng_Puachue_Hmong Hmnp|Old_Hungarian Hung|Old_Italic Ital|Javanese Java|Kayah_Li Kali|" +
  "Katakana Kana|Kawi|Kharoshthi Khar|Khmer Khmr|Khojki Khoj|Khitan_Small_Script Kits|Kannada Knda|Kirat_Rai Krai|Kaithi Kthi|" +
  "Tai_Tham Lana|Lao Laoo|Latin Latn|Lepcha Lepc|Limbu Limb|Linear_A Lina|Linear_B Linb|Lisu|Lycian Lyci|Lydian Lydi|Mahajani Mahj|" +
  "Makasar Maka|Mandaic Mand|Manichaean Mani|Marchen Marc|Medefaidrin Medf|Mende_Kikakui Mend|Meroitic_Cursive Merc|" +
  "Meroitic_Hieroglyphs Mero|Malayalam Mlym|Modi|Mongolian Mong|Mro Mroo|Meetei_Mayek Mtei|Multani Mult|Myanmar Mymr|" +
  "Nag_Mundari Nagm|Nandinagari Nand|Old_North_Arabian Narb|Nabataean Nbat|Newa|Nko Nkoo|Nushu Nshu|Ogham Ogam|Ol_Chiki Olck|" +
  "Ol_Onal Onao|Old_Turkic Orkh|Oriya Orya|Osage Osge|Osmanya Osma|Old_Uyghur Ougr|Palmyrene Palm|Pau_Cin_Hau Pauc|Old_Permic Perm|" +
  "Phags_Pa Phag|Inscriptional_Pahlavi Phli|Psalter_Pahlavi Phlp|Phoenician Phnx|Miao Plrd|Inscriptional_Parthian Prti|Rejang Rjng|" +
  "Hanifi_Rohingya Rohg|Runic Runr|Samaritan Samr|Old_South_Arabian Sarb|Saurashtra Saur|SignWriting Sgnw|Shavian Shaw|Sharada Shrd|" +
  "Siddham Sidd|Khudawadi Sind|Sinhala Sinh|Sogdian Sogd|Old_Sogdian Sogo|Sora_Sompeng Sora|Soyombo Soyo|Sundanese Sund|Sunuwar Sunu|" +
  "Syloti_Nagri Sylo|Syriac Syrc|Tagbanwa Tagb|Takri Takr|Tai_Le Tale|New_Tai_Lue Talu|Tamil Taml|Tangut Tang|Tai_Viet Tavt|Telugu Telu|" +
  "Tifinagh Tfng|Tagalog Tglg|Thaana Thaa|Thai|Tibetan Tibt|Tirhuta Tirh|Tangsa Tnsa|Todhri Todr|Toto|Tulu_Tigalari Tutg|Ugaritic Ugar|" +
  "Vai Vaii|Vithkuqi Vith|Warang_Citi Wara|Wancho Wcho|Old_Persian Xpeo|Cuneiform Xsux|Yezidi Yezi|Yi Yiii|Zanabazar_Square Zanb|" +
  "Inherited Zinh Qaai|Common Zyyy";

/** U+0295 became a letter without case in Unicode 17. */
const GLOTTAL = "\\u{295}";

const names = new Map<string, () => string>();

function add(list: string, sourceOf: (name: string) => string): void {
  for (const entry of list.split("|")) {
    const [first, ...more] = entry.split(" ");
    for (const name of [first, ...more]) names.set(loose(name), () => sourceOf(first));
  }
}

add(CATEGORIES, (name) => pinned(`\\p{${name}}`));
add(BINARY, (name) => pinned(`\\p{${name}}`));
add(FIXED, (name) => `\\p{${name}}`);
add(SCRIPTS, (name) => pinned(`\\p{Script=${name}}`));
add("Ll Lowercase_Letter", () => pinned(`[\\p{Ll}${GLOTTAL}]`));
add("Lo Other_Letter", () => pinned(`[\\p{Lo}--${GLOTTAL}]`));
add("LC Cased_Letter", () => pinned(`[\\p{LC}${GLOTTAL}]`));
add("Lowercase Lower", () => pinned(`[\\p{Lowercase}${GLOTTAL}]`));
add("Cased", () => pinned(`[\\p{Cased}${GLOTTAL}]`));
add("Cn Unassigned", () => pinned("\\p{Cn}", true));
add("C Other", () => pinned("\\p{C}", true));
add("Assigned", () => pinned("\\P{Cn}"));
add("Unknown Zzzz", () => pinned("[\\p{Cn}\\p{Co}\\p{Cs}]", true));
add("Word", wordCharacter);
add(
  "Alpha Alnum Blank Cntrl Digit Graph PosixPunct Print Space Upper XDigit".replaceAll(" ", "|"),
  (name) => {
    return posixClass(name) ?? "";
  },
);
add("Punct", () => pinned("\\p{P}"));

/** The class of a property name; undefined: the name is not known. */
export function propertyClass(name: string): string | undefined {
  return names.get(loose(name))?.();
}

/** The class of a name in a POSIX bracket, [:name:]; undefined: the name is not known. */
export function posixClass(name: string): string | undefined {
  switch (name.toLowerCase()) {
    case "alpha":
      return pinned("\\p{Alphabetic}");
    case "alnum":
      return pinned("[\\p{Alphabetic}\\p{Nd}]");
    case "digit":
      return pinned("\\p{Nd}");
    case "upper":
      return pinned("\\p{Uppercase}");
    case "lower":
      return propertyClass("Lowercase");
    case "word":
      return wordInClass();
    case "punct":
    case "posixpunct":
      return pinned("[\\p{P}\\p{S}]");
    case "space":
      return SPACE;
    case "blank":
      return "[\\p{Zs}\\t]";
    case "cntrl":
      return "\\p{Cc}";
    case "graph":
      return pinned("[^\\p{White_Space}\\p{Cc}\\p{Cn}\\p{Cs}]");
    case "print":
      return pinned("[^\\p{Cc}\\p{Cn}\\p{Cs}\\u{2028}\\u{2029}]");
    case "xdigit":
      return HEX_DIGIT;
    case "ascii":
      return "\\p{ASCII}";
    default:
      return undefined;
  }
}

function loose(name: string): string {
  return name.replaceAll(/[ _-]/gu, "").toLowerCase();
}
