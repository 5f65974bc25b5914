// Programs with what Jinja2 3.1.6 gives for them in the environment of Transformers 5.23 (Python 3.11), taken from it line by line.
// A line is JSON: the template, "text" or "error", the text or the first line of the error's message.

import { describe, expect, test } from "vitest";
import { TemplateError } from "../../src/errors.ts";
import { Float, renderChatTemplate } from "../../src/text/chat-template.ts";

const VARIABLES = {
  x: 1,
  s: "Hello World",
  l: [3, 1, 2],
  d: { b: 1, a: "x", n: null },
  m: [
    { role: "user", content: " Hi ", n: 2 },
    { role: "assistant", content: "Yo", tool_calls: null, n: 1 },
    { role: "user", content: "Bye", n: 3 },
  ],
  u: "h\u00e9llo\u{1F600}w\u00f6rld",
  nn: null,
  t: true,
  f: 1.5,
};

const PROGRAMS = String.raw`
["{{ s.split() }} {{ s.split('o') }} {{ s.split('o',1) }} {{ s.rsplit('o',1) }} {{ ' a  b c '.split(None,1) }} {{ ' a  b c '.rsplit(None,1) }}", "text", "['Hello', 'World'] ['Hell', ' W', 'rld'] ['Hell', ' World'] ['Hello W', 'rld'] ['a', 'b c '] [' a  b', 'c']"]
["{{ u|length }} {{ u[5] }} {{ u[::-1] }} {{ u[4:7] }} {{ u.find('w') }} {{ u.index('\ud83d\ude00') }} {{ u.center(15,'*') }} {{ u|upper }}", "text", "11 \ud83d\ude00 dlr\u00f6w\ud83d\ude00oll\u00e9h o\ud83d\ude00w 6 5 **h\u00e9llo\ud83d\ude00w\u00f6rld** H\u00c9LLO\ud83d\ude00W\u00d6RLD"]
["{{ 'ab'.center(5) }}| {{ 'abc'.center(6) }}| {{ 'abc'|center(10) }}| {{ 'a'.ljust(3,'-') }} {{ 'a'.rjust(3,'-') }} {{ '-5'.zfill(4) }}", "text", "  ab |  abc  |    abc    | a-- --a -005"]
["{{ 1e-7 }} {{ 1e16 }} {{ 1e15 }} {{ 123456789.123 }} {{ 0.1+0.2 }} {{ 1/3 }} {{ 1e300*1e10 }} {{ -0.0 }} {{ 5e-324 }} {{ 1.5e-5 }} {{ 0.0001 }} {{ 0.00001 }}", "text", "1e-07 1e+16 1000000000000000.0 123456789.123 0.30000000000000004 0.3333333333333333 inf -0.0 5e-324 1.5e-05 0.0001 1e-05"]
["{{ 2**100 }} {{ 2**-1 }} {{ 7.5//2 }} {{ -7.5//2 }} {{ -7.5%2 }} {{ 7%-3 }} {{ -7//-2 }} {{ 10**20 // 3 }} {{ 9007199254740993 }} {{ 9007199254740992+1 }}", "text", "1267650600228229401496703205376 0.5 3.0 -4.0 0.5 -2 3 33333333333333333333 9007199254740993 9007199254740993"]
["{{ true + 1 }} {{ true == 1 }} {{ 1 == 1.0 }} {{ [1] == [1.0] }} {{ {1:2} == {1.0:2} }} {{ (1,) == [1] }} {{ 'a' < 'b' }} {{ [1,2] < [1,3] }}", "text", "2 True True True True False True True"]
["{{ 3.14159|round(2) }} {{ 2.5|round }} {{ 3.5|round }} {{ 2.675|round(2) }} {{ 42|round }} {{ 42.55|round(1,'floor') }} {{ 42.55|round(1,'ceil') }} {{ 1234|round(-2) }} {{ 1250|round(-2) }} {{ 1234.5|round(-2) }}", "text", "3.14 2.0 4.0 2.67 42 42.5 42.6 1200 1200 1200.0"]
["{{ '%s and %d' % ('a', 3) }} {{ '%05.2f' % 3.14159 }} {{ '%x %X %o' % (255,255,8) }} {{ '%(a)s' % {'a':1} }} {{ '%-5s|' % 'a' }} {{ '%5s|' % 'a' }} {{ '%r' % 'a' }} {{ '%%' % () }} {{ '%e' % 12345.678 }} {{ '%g' % 0.00001 }} {{ '%g' % 100000 }} {{ '%g' % 1000000 }} {{ '%+d' % 5 }} {{ '%.3s' % 'abcdef' }} {{ '%c' % 'x' }} {{ '%i' % 3.9 }}", "text", "a and 3 03.14 ff FF 10 1 a    |     a| 'a' % 1.234568e+04 1e-05 100000 1e+06 +5 abc x 3"]
["{{ '{} {}'.format(1,2) }} {{ '{0} {1} {0}'.format('a','b') }} {{ '{a}'.format(a=1) }} {{ '{:>5}|{:<5}|{:^5}|'.format('a','b','c') }} {{ '{:05d}'.format(42) }} {{ '{:.2f}'.format(3.14159) }} {{ '{:,}'.format(1234567) }} {{ '{!r}'.format('a') }} {{ '{{}}'.format() }} {{ '{0[a]}'.format({'a':5}) }} {{ '{:x}'.format(255) }} {{ '{:e}'.format(1234.5) }} {{ '{:%}'.format(0.25) }} {{ '{:+}'.format(3) }}", "text", "1 2 a b a 1     a|b    |  c  | 00042 3.14 1,234,567 'a' {} 5 ff 1.234500e+03 25.000000% +3"]
["{{ \"%s\"|format(3) }} {{ \"%s-%s\"|format('a','b') }} {{ \"%(x)s\"|format(x=3) }}", "text", "3 a-b 3"]
["{{ 'a\\nb\\n\\nc'|indent }}|{{ 'a\\nb\\n\\nc'|indent(2,true) }}|{{ 'a\\nb\\n\\nc'|indent(2,true,true) }}|{{ 'a\\nb'|indent('> ') }}", "text", "a\n    b\n\n    c|  a\n  b\n\n  c|  a\n  b\n  \n  c|a\n> b"]
["{{ 'foo bar baz qux'|truncate(9) }} {{ 'foo bar baz qux'|truncate(9,true) }} {{ 'foo bar baz qux'|truncate(11) }} {{ 'foo bar baz qux'|truncate(11,false,'...',0) }}", "text", "foo... foo ba... foo bar baz qux foo bar..."]
["{{ [1,2,3,4,5]|batch(2)|list }} {{ [1,2,3,4,5]|batch(2,'x')|list }} {{ [1,2,3,4,5]|slice(2)|list }} {{ [1,2,3,4,5]|slice(3,'x')|list }}", "text", "[[1, 2], [3, 4], [5]] [[1, 2], [3, 4], [5, 'x']] [[1, 2, 3], [4, 5]] [[1, 2], [3, 4], [5, 'x']]"]
["{{ m|groupby('role')|list }}", "text", "[('assistant', [{'role': 'assistant', 'content': 'Yo', 'tool_calls': None, 'n': 1}]), ('user', [{'role': 'user', 'content': ' Hi ', 'n': 2}, {'role': 'user', 'content': 'Bye', 'n': 3}])]"]
["{% for g in m|groupby('role') %}{{ g.grouper }}:{{ g.list|length }} {% endfor %}", "text", "assistant:1 user:2 "]
["{{ m|sort(attribute='n')|map(attribute='content')|join(',') }} {{ m|sort(attribute='role,n',reverse=true)|map(attribute='n')|list }}", "text", "Yo, Hi ,Bye [3, 2, 1]"]
["{{ ['b','A','c']|sort }} {{ ['b','A','c']|sort(case_sensitive=true) }} {{ ['b','A','c']|sort(reverse=true) }} {{ {'b':1,'A':2}|dictsort }} {{ {'b':1,'A':2}|dictsort(true) }} {{ {'b':1,'A':2}|dictsort(by='value') }}", "text", "['A', 'b', 'c'] ['A', 'b', 'c'] ['c', 'b', 'A'] [('A', 2), ('b', 1)] [('A', 2), ('b', 1)] [('b', 1), ('A', 2)]"]
["{{ l|min }} {{ l|max }} {{ l|sum }} {{ m|sum(attribute='n') }} {{ m|max(attribute='n') }} {{ []|min }} {{ [1.5,2]|sum }} {{ [[1],[2]]|sum(start=[]) }}", "text", "1 3 6 6 {'role': 'user', 'content': 'Bye', 'n': 3}  3.5 [1, 2]"]
["{{ m|map(attribute='tool_calls',default='none')|list }} {{ m|map(attribute='zz')|list }} {{ m|map('length')|list }} {{ l|select('odd')|list }} {{ l|reject('odd')|list }} {{ l|select('gt',1)|list }} {{ [0,1,'']|select|list }}", "text", "['none', None, 'none'] [Undefined, Undefined, Undefined] [3, 4, 3] [3, 1] [2] [3, 2] [1]"]
["{{ l|map('string')|join }} {{ l|first }} {{ l|last }} {{ []|first }} {{ d|first }} {{ 'abc'|last }} {{ d|list }} {{ d|length }}", "text", "312 3 2  b c ['b', 'a', 'n'] 3"]
["{{ d }} {{ d.items() }} {{ d.keys() }} {{ d.values() }} {{ d.items()|list }} {{ range(3) }} {{ range(1,5,2) }} {{ range(10)[2:5] }} {{ range(5)[-1] }} {{ range(0) |list }}", "text", "{'b': 1, 'a': 'x', 'n': None} dict_items([('b', 1), ('a', 'x'), ('n', None)]) dict_keys(['b', 'a', 'n']) dict_values([1, 'x', None]) [('b', 1), ('a', 'x'), ('n', None)] range(0, 3) range(1, 5, 2) range(2, 5) 4 []"]
["{{ 'x' is defined }} {{ zz is undefined }} {{ 3 is divisibleby 3 }} {{ 3 is divisibleby(2) }} {{ 'abc' is lower }} {{ 'ABC' is upper }} {{ 1 is sameas 1 }} {{ [] is sequence }} {{ {} is mapping }} {{ d is iterable }} {{ 3 is in [1,3] }} {{ 1.0 is integer }} {{ true is integer }} {{ true is number }} {{ range is callable }} {{ 'upper' is filter }} {{ 'odd' is test }} {{ 'zzz' is filter }} {{ 5 is gt 3 }} {{ 5 is lt 3 }} {{ 5 is ge 5 }} {{ 5 is ne 5 }} {{ none is none }} {{ 'a' is string }} {{ false is false }} {{ 1 is true }} {{ 'x' is escaped }}", "text", "True True True False True True True True True True True False False True True True True False True False True False True True True False False"]
["{{ 1 if false }}|{{ (1 if false) is undefined }} {{ 'a' if x == 1 else 'b' }} {{ x and s or d }} {{ not x }} {{ not x == 2 }} {{ -x ** 2 }} {{ 2 ** 3 ** 2 }} {{ 1 ~ 2 + 3 }} {{ -3|abs }} {{ (-3)|abs }} {{ 1 + 2 ~ 3 }} {{ 10 - 2 - 3 }} {{ 2 * 3 % 4 }}", "error", "can only concatenate str (not \"int\") to str"]
["{{ 'a' in s }} {{ 'H' in s }} {{ 1 not in l }} {{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1 in [1] }}", "text", "False True False True False True"]
["{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set c = [1,2] %}{% set d2 = (a,) %}{{ d2 }}{% set (e, f2) = 'xy' %}{{ e }}{{ f2 }}", "text", "12(1,)xy"]
["{% set ns = namespace(a=1, b='x') %}{% set ns.c = 3 %}{{ ns.a }}{{ ns.b }}{{ ns.c }}{{ ns.zz }}{{ ns }}{{ ns.zz is defined }}", "text", "1x3<Namespace {'a': 1, 'b': 'x', 'c': 3}>False"]
["{% set ns = namespace({'a':1}) %}{{ ns.a }}{{ ns['a'] }}", "text", "11"]
["{% macro f(a, b='x', c=none) %}{{ a }}{{ b }}{{ c }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1) }} {{ f(1,2,3,4,5,k=6) }} {{ f(b=2,a=1) }} {{ f() }}", "text", "1xNone(){} 123(4, 5){'k': 6} 12None(){} xNone(){}"]
["{% macro f() %}{{ caller() }}{{ caller(1) if false }}{% endmacro %}{% call f() %}hi {{ s }}{% endcall %}", "text", "hi Hello World"]
["{% macro f(l) %}{% for i in l %}{{ caller(i, i*2) }};{% endfor %}{% endmacro %}{% call(a, b=3) f([1,2]) %}{{ a }}-{{ b }}{% endcall %}", "text", "1-2;2-4;"]
["{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1,2) }}", "error", "macro 'f' takes not more than 1 argument(s)"]
["{% macro f(a) %}{{ a }}{% endmacro %}{{ f(z=2) }}", "error", "macro 'f' takes no keyword argument 'z'"]
["{% macro f(a) %}{{ a.b }}{% endmacro %}{{ f() }}", "error", "parameter 'a' was not provided"]
["{% macro f(a) %}{{ a }}{% endmacro %}{{ f }} {{ f.name }} {{ f.arguments }}", "text", "<Macro 'f'> f ('a',)"]
["{% macro fact(n) %}{{ 1 if n <= 1 else n * fact(n-1)|int }}{% endmacro %}{{ fact(5) }}", "text", "120"]
["{% for i in l recursive %}{{ i }}{% if i is iterable %}{{ loop(i) }}{% endif %}{% endfor %}", "text", "312"]
["{% for i in [1,[2,[3]],4] recursive %}{% if i is iterable %}({{ loop(i) }}{{ loop.depth }}){% else %}{{ i }}{% endif %}{% endfor %}", "text", "1(2(32)1)4"]
["{% for i in l %}{{ loop.changed(i % 2) }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}", "text", "True32310 False21310 True10310 "]
["{% for i in l if i > 1 %}{{ i }}{{ loop.index }}{{ loop.last }}{{ loop.length }}{% else %}none{% endfor %}", "text", "31False222True2"]
["{% for i in l if i > 10 %}{{ i }}{% else %}none{% endfor %}", "text", "none"]
["{% for k, v in d.items() %}{{ k }}={{ v }}{% if not loop.last %}, {% endif %}{% endfor %}", "text", "b=1, a=x, n=None"]
["{% for a, b in [(1,2),(3,4)] %}{{ a }}{{ b }}{% endfor %}{% for a, (b, c) in [(1,(2,3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "text", "1234123"]
["{% for i in m|selectattr('role','equalto','user') %}{{ loop.index }}{{ loop.last }}{{ loop.length }}{{ i.content }}{% endfor %}", "text", "1False2 Hi 2True2Bye"]
["{% for i in 'abc' %}{% if loop.first %}{% continue %}{% endif %}{{ i }}{% endfor %}", "text", "bc"]
["{% for i in l %}{% for j in l %}{% if j == 1 %}{% break %}{% endif %}{{ i }}{{ j }} {% endfor %}{% endfor %}", "text", "33 13 23 "]
["{% set z = 1 %}{% for i in l %}{{ z }}{% set z = i %}{{ z }} {% endfor %}{{ z }}", "text", "13 11 12 1"]
["{% for i in l %}{% if loop.first %}{% set q = i %}{% endif %}{{ q }}|{% endfor %}", "text", "3|||"]
["{% if x %}{% set y = 1 %}{% else %}{% set y = 2 %}{% endif %}{{ y }}", "text", "1"]
["{% with %}{% set q = 1 %}{{ q }}{% endwith %}[{{ q }}]", "text", "1[]"]
["{% with a=1, b=a %}{{ a }}{{ b }}{% endwith %}", "text", "1"]
["{% set b %}  x {{ s }} {% endset %}[{{ b }}]{{ b|length }}", "text", "[  x Hello World ]16"]
["{% set b | upper | trim %}  x {{ s }} {% endset %}[{{ b }}]", "text", "[X HELLO WORLD]"]
["{% filter upper %}a{{ s }}{% endfilter %} {% filter replace('a','b')|upper %}banana{% endfilter %}", "text", "AHELLO WORLD BBNBNB"]
["{% set q %}{% set inner = 1 %}{% endset %}[{{ inner }}]", "text", "[]"]
["{% block a %}x{{ s }}{% endblock %} {% block b scoped %}y{% endblock b %}", "text", "xHello World y"]
["{% print s, 1 %}", "text", "Hello World1"]
["{% if x == 1: %}a{% endif %}", "text", "a"]
["{{ [1,2,3][1:] }} {{ [1,2,3][-2:] }} {{ [1,2,3][::2] }} {{ (1,2,3)[1:] }} {{ 'abc'[5:] }} {{ 'abc'[-1:] }} {{ [1,2,3][5] }}| {{ 'abc'[10] }}| {{ [1,2,3][::-1] }} {{ [1,2,3][2:0:-1] }}", "text", "[2, 3] [2, 3] [1, 3] (2, 3)  c | | [3, 2, 1] [3, 2]"]
["{{ d.zz }} {{ d['zz'] }} {{ d.zz.y }}", "error", "'dict object' has no attribute 'zz'"]
["{{ l.zz }}{{ l[10] }}{{ l['a'] }}|{{ s.zz }}|{{ 5 .x }}", "text", "||"]
["{{ l[10].a }}", "error", "list object has no element 10"]
["{{ zz.a }}", "error", "'zz' is undefined"]
["{{ zz['a'] }}", "error", "'zz' is undefined"]
["{{ zz + 1 }}", "error", "'zz' is undefined"]
["{{ 1 + zz }}", "error", "'zz' is undefined"]
["{{ zz ~ 'a' }} {{ zz|length }} {{ zz|list }} {{ zz == zz2 }} {{ zz == none }} {{ not zz }} {{ zz|default('q') }} {{ zz|upper }}|{{ zz|join }}|{{ zz in [1] }}", "text", "a 0 [] True False True q ||False"]
["{{ zz() }}", "error", "'zz' is undefined"]
["{{ s() }}", "error", "'str' object is not callable"]
["{{ none() }}", "error", "'NoneType' object is not callable"]
["{{ l.append(4) }}", "error", "access to attribute 'append' of 'list' object is unsafe."]
["{{ d.update({}) }}", "error", "access to attribute 'update' of 'dict' object is unsafe."]
["{{ d.pop('a') }}", "error", "access to attribute 'pop' of 'dict' object is unsafe."]
["{{ s.__class__ }}|{{ s.__proto__ }}|{{ s.constructor }}|{{ l.constructor }}|{{ l.length }}|{{ s.length }}|{{ d.__class__ }}|{{ d.hasOwnProperty }}|{{ x.__class__ }}", "text", "||||||||"]
["{{ s.__class__.mro }}", "error", "access to attribute '__class__' of 'str' object is unsafe."]
["{{ s.constructor.prototype }}", "error", "'str object' has no attribute 'constructor'"]
["{{ s['__class__'] }}|{{ d['__class__'] }}|{{ s|attr('__class__') }}|{{ s|attr('upper') is callable }}|{{ d|attr('a') }}|", "text", "|||True||"]
["{{ s.upper.__globals__ }}", "text", ""]
["{{ range.__globals__ }}", "text", ""]
["{% macro f() %}{% endmacro %}{{ f.__globals__ }}|{{ f._func }}|{{ f.__class__ }}", "text", "||"]
["{{ 'a' + 1 }}", "error", "can only concatenate str (not \"int\") to str"]
["{{ 1 + 'a' }}", "error", "unsupported operand type(s) for +: 'int' and 'str'"]
["{{ [1] + 'a' }}", "error", "can only concatenate list (not \"str\") to list"]
["{{ [1] + (1,) }}", "error", "can only concatenate list (not \"tuple\") to list"]
["{{ 'a' * 'b' }}", "error", "can't multiply sequence by non-int of type 'str'"]
["{{ 'a' * 1.5 }}", "error", "can't multiply sequence by non-int of type 'float'"]
["{{ none + 1 }}", "error", "unsupported operand type(s) for +: 'NoneType' and 'int'"]
["{{ {} + {} }}", "error", "unsupported operand type(s) for +: 'dict' and 'dict'"]
["{{ 1 - 'a' }}", "error", "unsupported operand type(s) for -: 'int' and 'str'"]
["{{ -'a' }}", "error", "bad operand type for unary -: 'str'"]
["{{ 'a' < 1 }}", "error", "'<' not supported between instances of 'str' and 'int'"]
["{{ [1] < 2 }}", "error", "'<' not supported between instances of 'list' and 'int'"]
["{{ none < 1 }}", "error", "'<' not supported between instances of 'NoneType' and 'int'"]
["{{ [1,'a']|sort }}", "error", "'<' not supported between instances of 'str' and 'int'"]
["{{ 1/0 }}", "error", "division by zero"]
["{{ 1//0 }}", "error", "integer division or modulo by zero"]
["{{ 1%0 }}", "error", "integer modulo by zero"]
["{{ 1.0/0 }}", "error", "float division by zero"]
["{{ 1.0//0 }}", "error", "float floor division by zero"]
["{{ 1.0%0 }}", "error", "float modulo"]
["{{ 0**-1 }}", "error", "0.0 cannot be raised to a negative power"]
["{{ 'x' in 5 }}", "error", "argument of type 'int' is not iterable"]
["{{ 5 in 'x' }}", "error", "'in <string>' requires string as left operand, not int"]
["{{ [] in {} }}", "error", "unhashable type: 'list'"]
["{% for i in 5 %}{% endfor %}", "error", "'int' object is not iterable"]
["{% for i in none %}{% endfor %}", "error", "'NoneType' object is not iterable"]
["{% for a, b in [1] %}{% endfor %}", "error", "cannot unpack non-iterable int object"]
["{% for a, b in [(1,2,3)] %}{% endfor %}", "error", "too many values to unpack (expected 2)"]
["{% for a, b in [(1,)] %}{% endfor %}", "error", "not enough values to unpack (expected 2, got 1)"]
["{% set x.y = 1 %}", "error", "cannot assign attribute on non-namespace object"]
["{% set ns = namespace() %}{% set ns._a = 1 %}", "error", "Chat templates cannot store underscore-prefixed attributes on a namespace, but got '_a'. Please rename the attribute."]
["{{ 5|length }}", "error", "object of type 'int' has no len()"]
["{{ none|list }}", "error", "'NoneType' object is not iterable"]
["{{ (l|map('upper'))|length }}", "error", "object of type 'generator' has no len()"]
["{{ l|map('zz')|list }}", "error", "No filter named 'zz'."]
["{{ l|selectattr|list }}", "error", "Missing parameter for attribute name"]
["{{ 'abc'|join(1) }} {{ l|join(', ') }} {{ m|join('-', attribute='role') }}", "text", "a1b1c 3, 1, 2 user-assistant-user"]
["{{ 'abc'.join([1]) }}", "error", "sequence item 0: expected str instance, int found"]
["{{ 'abc'.join(['x','y']) }} {{ ','.join('abc') }}", "text", "xabcy a,b,c"]
["{{ 'a'.split('') }}", "error", "empty separator"]
["{{ 'abc'.index('z') }}", "error", "substring not found"]
["{{ {}[[]] }}|{{ {[]: 1} }}", "error", "unhashable type: 'list'"]
["{{ 'abc'.replace('','-') }} {{ 'aaa'.replace('a','b',2) }} {{ 'aaa'|replace('a','b',2) }} {{ 'abc'|replace('b',5) }}", "text", "-a-b-c- bba bba a5c"]
["{{ 'hello world'.title() }} {{ \"they're bill's\"|title }} {{ \"they're bill's\".title() }} {{ 'hELLO'.capitalize() }} {{ 'hELLO'|capitalize }} {{ 'hELLO'.swapcase() }} {{ '\u00df'.upper() }} {{ 'a-b c(d'|title }}", "text", "Hello World They're Bill's They'Re Bill'S Hello Hello Hello SS A-B C(D"]
["{{ 'abc'.isalpha() }} {{ '12'.isdigit() }} {{ 'a1'.isalnum() }} {{ ' '.isspace() }} {{ 'Abc'.istitle() }} {{ 'abc'.islower() }} {{ 'ABC'.isupper() }} {{ ''.isalpha() }} {{ '\u00b2'.isdigit() }} {{ '\u00bd'.isnumeric() }} {{ 'abc'.isidentifier() }} {{ '\u00e9'.isascii() }}", "text", "True True True True True True True False True True True False"]
["{{ 'a,b,c'.partition(',') }} {{ 'a,b,c'.rpartition(',') }} {{ 'abc'.partition('x') }} {{ 'abc'.removeprefix('a') }} {{ 'abc'.removesuffix('c') }} {{ 'a\\nb\\r\\nc'.splitlines() }} {{ 'a\\nb\\n'.splitlines(true) }} {{ 'a\\tb'.expandtabs(4) }} {{ 'abcabc'.count('b') }} {{ 'abcabc'.rfind('b') }} {{ 'abc'.find('z') }} {{ 'abc'.startswith(('x','a')) }} {{ 'abc'.startswith('b',1) }} {{ 'xxabcxx'.strip('x') }} {{ 'abc'.lstrip('a') }}", "text", "('a', ',', 'b,c') ('a,b', ',', 'c') ('abc', '', '') bc ab ['a', 'b', 'c'] ['a\\n', 'b\\n'] a   b 2 4 -1 True True abc bc"]
["{{ [\"it's\", 'a\"b', \"both'\\\"\", 'tab\\t', 'nl\\n', '\\\\', '\u00e9', '\\x00', '\\x7f', '\\u200b', '\ud83d\ude00', '\\xa0', '\\u2028'] }}", "text", "[\"it's\", 'a\"b', 'both\\'\"', 'tab\\t', 'nl\\n', '\\\\', '\u00e9', '\\x00', '\\x7f', '\\u200b', '\ud83d\ude00', '\\xa0', '\\u2028']"]
["{{ 'a'|tojson }} {{ [1,2.0,none,true]|tojson }} {{ {'a':1,2:3,none:4,true:5,1.5:6}|tojson }} {{ [1,{'a':[]}]|tojson(indent=2) }} {{ {'b':1,'a':2}|tojson(sort_keys=true) }} {{ '\u00e9\ud83d\ude00'|tojson }} {{ '\u00e9\ud83d\ude00'|tojson(ensure_ascii=true) }} {{ [1,2]|tojson(separators=(',',':')) }} {{ [1,[2]]|tojson(indent='--') }} {{ [1]|tojson(indent=0) }} {{ (1,2)|tojson }} {{ '\\x7f\\x1f'|tojson }} {{ 10**20|tojson }} {{ []|tojson(indent=2) }}", "error", "unsupported operand type(s) for ** or pow(): 'int' and 'str'"]
["{{ zz|tojson }}", "error", "Object of type Undefined is not JSON serializable"]
["{{ range(3)|tojson }}", "error", "Object of type range is not JSON serializable"]
["{{ {(1,2):1}|tojson }}", "error", "keys must be str, int, float, bool or None, not tuple"]
["{{ '1.5'|float }} {{ 'x'|float }} {{ 'x'|float(2.5) }} {{ 3|float }} {{ 'inf'|float }} {{ '-nan'|float }} {{ '1e5'|float }} {{ none|float }}", "text", "1.5 0.0 2.5 3.0 inf nan 100000.0 0.0"]
["{{ 1000|filesizeformat }} {{ 1500000|filesizeformat }} {{ 1024|filesizeformat(true) }} {{ 1|filesizeformat }} {{ 0|filesizeformat }} {{ '5000'|filesizeformat }}", "text", "1.0 kB 1.5 MB 1.0 KiB 1 Byte 0 Bytes 5.0 kB"]
["{{ '<a href=\"x\">b & c</a>'|striptags }} {{ '<b>'|escape }} {{ \"'\\\"&\"|e }} {{ '<!-- x -->a  b'|striptags }} {{ '<b>'|safe }} {{ 'a b/c?d=\u00e9'|urlencode }} {{ {'a b':'c/d','e':1}|urlencode }} {{ [('a','b')]|urlencode }} {{ {'class':'a\"b','x':none}|xmlattr }}", "text", "b & c &lt;b&gt; &#39;&#34;&amp; a b <b> a%20b/c%3Fd%3D%C3%A9 a+b=c%2Fd&e=1 a=b  class=\"a&#34;b\""]
["{{ 'hello big world foo-bar'|wordwrap(10) }}|{{ 'aaaaaaaaaaaaaaa bb'|wordwrap(5) }}|{{ 'aaaaaaaaaaaaaaa bb'|wordwrap(5,false) }}|{{ 'a b c'|wordcount }}|{{ 'foo-bar baz_qux'|wordcount }}", "text", "hello big\nworld foo-\nbar|aaaaa\naaaaa\naaaaa\nbb|aaaaaaaaaaaaaaa\nbb|3|3"]
["{{ l|reverse|list }} {{ 'abc'|reverse }} {{ [1,1,2,'a','A']|unique|list }} {{ [1,1,2,'a','A']|unique(true)|list }} {{ m|unique(attribute='role')|map(attribute='n')|list }}", "text", "[2, 1, 3] cba [1, 2, 'a'] [1, 2, 'a', 'A'] [2, 1]"]
["{{ '  x '|trim }}| {{ 'xxaxx'|trim('x') }} {{ 5|trim }} {{ 5|string ~ 'a' }} {{ none|string }} {{ 'a'|upper|lower }} {{ 'A'|lower }} {{ none|upper }}", "text", "x| a 5 5a None a a NONE"]
["{{ cycler('a','b').next() }} {% set c = cycler('a','b') %}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.next() }} {% set j = joiner() %}{{ j() }}a{{ j() }}b", "text", "a abNonea a, b"]
["{{ cycler() }}", "error", "at least one item has to be provided"]
["{{ range(1000000) }}", "error", "Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000)."]
["{{ range(1,2,0) }}", "error", "range() arg 3 must not be zero"]
["{{ range('a') }}", "error", "'str' object cannot be interpreted as an integer"]
["{{ raise_exception('boom ' ~ x) }}", "error", "boom 1"]
["{{ raise_exception(5) }}", "error", "5"]
["{{ x.real }} {{ f.is_integer() }} {{ (2.0).is_integer() }} {{ x.bit_length() }} {{ 1.5.real }}", "text", "1 False True 1 1.5"]
["{{ 1_000 }} {{ 0x1F }} {{ 0b11 }} {{ 0o17 }} {{ 1_0.5 }} {{ 1e3 }} {{ 1E-3 }} {{ 00 }}", "text", "1000 31 3 15 10.5 1000.0 0.001 0"]
["{{ 'a' 'b' \"c\" }} {{ 'it''s' }} {{ \"\\x41\\u00e9\\U0001F600\\101\\a\\q\\'\" }}", "text", "abc its A\u00e9\ud83d\ude00A\u0007\\q'"]
["{{ 'a\\\nb' }}", "text", "ab"]
["{{ [1,2,] }} {{ (1,) }} {{ () }} {{ {'a':1,} }} {{ [] }} {{ {} }} {{ ((1)) }} {{ 1, 2 }}", "text", "[1, 2] (1,) () {'a': 1} [] {} 1 (1, 2)"]
["{{ f(*[1,2]) }}", "error", "'float' object is not callable"]
["{% macro f(a,b) %}{{ a }}{{ b }}{% endmacro %}{{ f(*[1,2]) }}{{ f(**{'a':3,'b':4}) }}{{ f(1,**{'b':2}) }}", "text", "123412"]
["{% macro f(a,b) %}{% endmacro %}{{ f(1,a=2) }}", "error", "macro 'f' takes no keyword argument 'a'"]
["  {% if true %}  \n  a  \n  {% endif %}  \n b", "text", "  \n  a  \n  \n b"]
["{%- if true -%}   a   {%- endif +%}\n b  {%+ if true %}c{% endif -%}   d", "text", "a\n b  cd"]
["{# c #}\na {#- c -#} b\n  {# lstrip #}  x", "text", "ab\n  x"]
["a{% raw %} {{ x }} {% endraw %}b{%- raw -%}  {% x %}  {%- endraw -%}  c", "text", "a {{ x }} b{% x %}c"]
["{% raw %}\nx\n{% endraw %}\ny", "text", "\nx\ny"]
["{{ \"a\" -}}\n  b {{- \"c\" }} d", "text", "abc d"]
["{{ '{{' }} {{ '%}' }} {{ \"}}\" }} {{ {'a':{'b':1}} }}", "text", "{{ %} }} {'a': {'b': 1}}"]
["{% foo %}", "error", "Encountered unknown tag 'foo'."]
["{% endif %}", "error", "Encountered unknown tag 'endif'."]
["{% if x %}{% endfor %}", "error", "Encountered unknown tag 'endfor'. Jinja was looking for the following tags: 'elif' or 'else' or 'endif'. The innermost block that needs to be closed is 'if'."]
["{% for %}{% endfor %}", "error", "Expected an expression, got 'end of statement block'"]
["{{ }}", "error", "Expected an expression, got 'end of print statement'"]
["{{ 1 + }}", "error", "unexpected 'end of print statement'"]
["{{ (1 }}", "error", "unexpected '}', expected ')'"]
["{{ [1,2 }}", "error", "unexpected '}', expected ']'"]
["{{ 1) }}", "error", "unexpected ')'"]
["{{ x y }}", "error", "expected token 'end of print statement', got 'y'"]
["{{ x.1.2 }}|{{ l.1 }}", "error", "int object has no element 1"]
["{{ x. }}", "error", "expected name or number"]
["{{ 'abc }}", "error", "unexpected char \"'\" at 3"]
["{{ x ! }}", "error", "unexpected char '!' at 5"]
["{{ x|zz }}", "error", "No filter named 'zz'."]
["{{ x is zz }}", "error", "No test named 'zz'."]
["{% if false %}{{ x|zz }}{% endif %}ok", "text", "ok"]
["{% if true %}{{ x|zz }}{% endif %}", "error", "No filter named 'zz' found."]
["{{ (x|zz) if false else 1 }}", "text", "1"]
["{% for i in [] %}{{ x|zz }}{% endfor %}", "error", "No filter named 'zz'."]
["{% if false %}{% for i in [] %}{{ x|zz }}{% endfor %}{% endif %}", "error", "No filter named 'zz'."]
["{# unclosed", "error", "Missing end of comment tag"]
["{% raw %} unclosed", "error", "Missing end of raw directive"]
["{% if x", "error", "unexpected end of template, expected 'end of statement block'."]
["{{ x", "error", "unexpected end of template, expected 'end of print statement'."]
["{% set %}", "error", "Expected an expression, got 'end of statement block'"]
["{% set 1 = 2 %}", "error", "can't assign to 'const'"]
["{% set none = 2 %}", "error", "can't assign to 'const'"]
["{% set a.b.c = 2 %}", "error", "expected token 'end of statement block', got '.'"]
["{% macro f(a=1, b) %}{% endmacro %}", "error", "non-default argument follows default argument"]
["{% call x %}{% endcall %}", "error", "expected call"]
["{{ f(a=1, 2) }}", "error", "invalid syntax for function call expression"]
["{{ x is defined is true }}", "error", "You cannot chain multiple tests with is"]
["{{ x is not defined }} {{ x is not none }} {{ not x is none }} {{ x is none or x == 1 }} {{ x is defined and x }}", "text", "False True True True 1"]
["{% generation %}a{{ s }}{% set q = 5 %}{% endgeneration %}[{{ q }}]", "text", "aHello World[]"]
["{{ loop }}|{% for i in [1] %}{{ loop }}{% endfor %}", "text", "|<LoopContext 1/1>"]
["{% for i in l %}{% for j in 'ab' %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}", "text", "121 122 123 "]
["{% for i in l %}{% set outer = loop %}{% for j in 'ab' %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}", "text", "11 12 21 22 31 32 "]
["{{ d.get('b') }} {{ d.get('zz') }} {{ d.get('zz', 5) }} {{ d.get('n', 5) }} {{ d.copy() }} {{ (1,2).index(2) }} {{ l.index(1) }} {{ l.count(1) }} {{ 'b' in d.keys() }} {{ 1 in d.values() }} {{ ('b',1) in d.items() }} {{ d.keys()|list }} {{ d.keys()|sort }} {{ d.items()|first }}", "text", "1 None 5 None {'b': 1, 'a': 'x', 'n': None} 1 1 1 True True True ['b', 'a', 'n'] ['a', 'b', 'n'] ('b', 1)"]
["{{ l.index(99) }}", "error", "99 is not in list"]
["{{ d.keys()[0] }}|{{ d.items()|length }}|{{ d.keys() is sequence }}", "text", "|3|False"]
["{{ none.x }}|{{ none[0] }}|{{ 5[0] }}|{{ true.x }}", "text", "|||"]
["{{ none.x.y }}", "error", "'None' has no attribute 'x'"]
["{{ none[0].y }}", "error", "None has no element 0"]
["{{ zz[1:] }}", "error", "'zz' is undefined"]
["{{ d[1:2] }}", "error", "unhashable type: 'slice'"]
["{{ l['a':] }}", "error", "slice indices must be integers or None or have an __index__ method"]
["{{ l[1.0] }}|{{ l[true] }}|{{ d[1] }}", "text", "|1|"]
["{{ 'a' ~ 1.0 ~ none ~ true ~ [1] ~ {'a':1} }}", "text", "a1.0NoneTrue[1]{'a': 1}"]
["{{ 1.0 }} {{ 100000000000000000000.0 }} {{ 12345678901234567890 }} {{ 1.0|tojson }} {{ 3.0 * 2 }} {{ 7.0 // 2 }} {{ 3 * 1.0 }} {{ 10 / 5 }} {{ 2 ** 0.5 }} {{ 1e3|int }} {{ 4 ** -1 }} {{ (-8) ** 2 }} {{ 5 % 3.0 }}", "text", "1.0 1e+20 12345678901234567890 1.0 6.0 3.0 3.0 2.0 1.4142135623730951 1000 0.25 64 2.0"]
["{{ l|attr('x') }}|{{ s|list }}|{{ s|d }}|{{ ''|d('x') }}|{{ ''|d('x', true) }}|{{ none|d('x') }}|{{ none|default('x', boolean=true) }}", "text", "|['H', 'e', 'l', 'l', 'o', ' ', 'W', 'o', 'r', 'l', 'd']|Hello World||x|None|x"]
["{{ [[1,2],[3]]|map('first')|list }} {{ [[1,2],[3]]|map('join','-')|list }} {{ ['a ',' b']|map('trim')|list }} {{ [1,2]|map('float')|list }} {{ ['ab']|map('replace','a','x')|first }}", "text", "[1, 3] ['1-2', '3'] ['a', 'b'] [1.0, 2.0] xb"]
["{{ [{'a':{'b':1}}]|map(attribute='a.b')|list }} {{ [[1,2],[3,4]]|map(attribute=0)|list }} {{ [{'a':[5,6]}]|map(attribute='a.1')|list }}", "text", "[1] [1, 3] [6]"]
["{{ m|selectattr('tool_calls')|list }} {{ m|rejectattr('tool_calls','defined')|map(attribute='n')|list }} {{ m|selectattr('n','gt',1)|map(attribute='n')|list }} {{ m|selectattr('role','in',['user'])|list|length }}", "text", "[] [2, 3] [2, 3] 2"]
["{{ s is string and s is not number }} {{ 'ab' == 'ab' }} {{ 'a' != 'b' }} {{ [1,2] != [1,2] }} {{ none == false }} {{ 0 == false }} {{ '' == false }}", "text", "True True True False False True False"]
["{{ true }} {{ false }} {{ True }} {{ None }} {{ none|tojson }} {{ [true, none] }}", "text", "True False True None null [True, None]"]
["{% set x = 5 %}{% macro f() %}{{ x }}{% endmacro %}{% set x = 6 %}{{ f() }}", "text", "6"]
["{% macro f() %}{% set x = 9 %}{{ x }}{% endmacro %}{{ f() }}{{ x }}", "text", "91"]
["{% for i in l %}{% macro f() %}{{ i }}{% endmacro %}{{ f() }}{% endfor %}", "text", "312"]
["{% do x %}", "error", "Encountered unknown tag 'do'."]
["{{ \"%d\" % \"a\" }}", "error", "%d format: a real number is required, not str"]
["{{ \"%s %s\" % \"a\" }}", "error", "not enough arguments for format string"]
["{{ \"%s\" % (\"a\",\"b\") }}", "error", "not all arguments converted during string formatting"]
["{{ '{}'.format() }}", "error", "index out of range"]
["{{ '{a}'.format() }}", "error", "'a'"]
["{{ '{'.format() }}", "error", "Single '{' encountered in format string"]
["{{ '{0.__class__}'.format(1) }}|{{ '{0.__class__.mro}'.format(1) }}", "error", "access to attribute '__class__' of 'int' object is unsafe."]
["{{ '{:d}'.format('a') }}", "error", "Unknown format code 'd' for object of type 'str'"]
["{{ '{:>10}'.format(1.5) }} {{ '{:g}'.format(1e10) }} {{ '{:b}'.format(5) }} {{ '{:#x}'.format(255) }} {{ '{:_}'.format(1000000) }} {{ '{:*^9}'.format('mid') }} {{ '{:.3}'.format('abcdef') }} {{ '{:{}}'.format('a', 5) }}| {{ '{:.1f}'.format(0.25) }} {{ '{:.0f}'.format(2.5) }} {{ '{:,.2f}'.format(1234567.891) }} {{ '{:08.2f}'.format(-3.14159) }} {{ '{: d}'.format(3) }}", "text", "       1.5 1e+10 101 0xff 1_000_000 ***mid*** abc a    | 0.2 2 1,234,567.89 -0003.14  3"]
["{{ 1e999|filesizeformat }}|{{ 'inf'|filesizeformat(true) }}|{{ 'nan'|filesizeformat }}|{{ 1e308|filesizeformat }}|{{ 1500|filesizeformat }}|{{ -1e30|filesizeformat }}", "text", "inf YB|inf YiB|nan YB|inf YB|1.5 kB|-1000000000000000019884624838656 Bytes"]
["{{ '{\"args\": ' + ({'city': 'Oslo'}|tojson|safe) + '}' }}", "text", "{&#34;args&#34;: {\"city\": \"Oslo\"}}"]
["{{ '<' + ('x'|safe) }} {{ ('x'|safe) + '<' }} {{ '<' + ('x'|e) }} {{ '<'|e|e }} {{ '<'|e|forceescape }} {{ '<'|e|string|e }} {{ ('<'|e) ~ '<' }}", "text", "&lt;x x&lt; &lt;x &lt; &amp;lt; &lt; &lt;<"]
["{{ ('%s %r %d'|safe) % ('<', '<', '7') }} {{ '<%s>'|safe|format('&') }} {{ ('%(a)s'|safe) % {'a': '<'} }} {{ '%s' % ('<'|e) }} {{ '%r' % ('<'|e) }}", "text", "&lt; &#39;&lt;&#39; 7 <&amp;> &lt; &lt; Markup('&lt;')"]
["{{ '{} {!r} {:>3}'|safe }} {{ ('{} {!r} {:>3}'|safe).format('<', '<', '<') }} {{ '{}'.format('<'|e) }} {{ ('{a}'|safe).format_map({'a': '&'}) }}", "text", "{} {!r} {:>3} &lt; &#39;&lt;&#39;   &lt; &lt; &amp;"]
["{{ ('{:>3}'|safe).format('<'|e) }}", "error", "Unsupported format specification for Markup"]
["{{ ('<'|e).join(['&', 'b'|safe]) }} {{ ','.join(['<'|e, '<']) }} {{ ['<'|e, '<']|join('&') }} {{ ('a<b'|safe).replace('<', '>') }} {{ ('a<b'|safe)|replace('<', '>') }}", "text", "&amp;&lt;b &lt;,< &lt;&< a&gt;b a>b"]
["{{ ['a'|safe, ('a b'|safe).split(), ('a b'|safe).partition(' '), 'a'|safe|upper, ('ab'|safe)[0], ('ab'|safe)[::-1], ('ab'|safe)|list, ('ab'|safe)|first, ('ab'|safe)|last, ('ab'|safe)|reverse, ('a'|safe) * 2] }}", "text", "[Markup('a'), [Markup('a'), Markup('b')], (Markup('a'), Markup(' '), Markup('b')), Markup('A'), Markup('a'), Markup('ba'), ['a', 'b'], 'a', Markup('b'), Markup('ba'), Markup('aa')]"]
["{{ ['a'|safe|title, 'a'|safe|string, 'a'|safe|trim, 'a'|safe|center(3), 'a'|safe|indent, 'a'|safe|truncate(9), 'a'|safe|wordwrap, 'a'|safe|striptags, 'a'|safe|tojson, 'a'|safe|capitalize, 'a'|safe|replace('a', 'b')] }}", "text", "['A', Markup('a'), Markup('a'), Markup(' a '), Markup('a'), Markup('a'), 'a', 'a', '\"a\"', Markup('A'), 'b']"]
["{{ ('a'|safe) == 'a' }} {{ 'a'|safe in {'a': 1} }} {{ {'a'|safe: 1}.a }} {{ ('a'|safe) < 'b' }} {{ 'a'|safe is string }} {{ 'a'|safe is escaped }} {{ 'a' is escaped }} {{ ('a'|safe) is sameas ('a'|safe) }}", "text", "True True 1 True True True False False"]
["{{ '<\\n<'|e|indent(2, true) }} {{ '<\\n<'|indent('&'|safe, true) }} {{ 'aa < bb'|safe|truncate(5, true, '<', 0) }} {{ 'aa < bb'|truncate(5, true, '<'|e, 0) }} {{ '<a b'|wordwrap(2, true, '|'|safe) }}", "text", "  &lt;\n  &lt; &&lt;\n&amp;&amp;lt; aa <&lt; a&lt; &lt;a|b"]
["{{ {'k': '<', 'm': '<'|e}|xmlattr }} {{ {'a': '<'|e}|tojson }} {{ [1, '<'|e]|pprint }} {{ '<a> &lt; &amp;lt; &eacute; &#x3c; <!-- x --> b'|striptags }} {{ ('&lt;'|safe).unescape() }}", "text", " k=\"&lt;\" m=\"&lt;\" {\"a\": \"&lt;\"} [1, Markup('&lt;')] < &lt; \u00e9 < b <"]
["{{ ('a'|safe).striptags }}", "text", "<bound method Markup.striptags of Markup('a')>"]
["{% filter safe %}<{% endfilter %}{% set x %}<{% endset %}{{ x is escaped }}{% set y | e %}<{% endset %}{{ y is escaped }}{% macro f() %}<{% endmacro %}{{ f() is escaped }}{{ ('>'|e) + f() }}", "text", "<FalseTrueFalse&gt;&lt;"]
["{{ ('a'|safe).ljust(3, '-') }} {{ ('+1'|safe).zfill(4) ~ ('a'|safe).center(3) }}", "text", "a-- +001 a "]
["{{ ('a'|safe).ljust(3, '<') }}", "error", "The fill character must be exactly one character long"]
["{{ zz is callable }} {{ 1 is callable }} {{ range is callable }} {{ s.upper is callable }} {{ zz|truncate(9) }}| {{ [1]|truncate(9) }} {{ d|truncate(9) }} {{ '\\u0663'|float }} {{ '\\u0663\\u0664'|int }} {{ '\\u09e7_0'|int }} {{ '\\uff11.\\uff15'|float }}", "text", "True False True True | [1] {'b': 1, 'a': 'x', 'n': None} 3.0 34 10 1.5"]
["{{ zz|dictsort }}", "error", "'zz' is undefined"]
["{{ zz.x|dictsort }}", "error", "'zz' is undefined"]
["{{ [1]|dictsort }}", "error", "mapping"]
["{{ [1] is filter }}", "error", "unhashable type: 'list'"]
["{{ {} is test }}", "error", "unhashable type: 'dict'"]
["{{ (1, [2]) is filter }}", "error", "unhashable type: 'list'"]
["{{ 1 is filter }} {{ 'upper' is filter }} {{ 'upper'|safe is filter }} {{ 'xx' is filter }} {{ none is test }} {{ zz is filter }}", "text", "False True True False False False"]
["{{ 'abc'.translate({97: 'x', 98: none, 99: 100}) }} {{ 'abc'.translate(''.maketrans('ab', 'xy', 'c')) }} {{ ''.maketrans({'a': 'b', 99: none}) }} {{ 'a'.translate('x' * 98) }}", "text", "xd xy {97: 'b', 99: None} x"]
["{{ range(1, 10, 3).count(4) }}{{ range(5).index(3) }}{{ range(5).count('a') }}{{ range(5).count(2.0) }}{{ range(5) == range(0, 5, 1) }}{{ range(9).start }}", "text", "1301True0"]
["{{ range(5).index(9) }}", "error", "9 is not in range"]
["{{ 'a'.replace(old='a', new='b') }}", "error", "unexpected keyword argument"]
["{{ 1 is eq(other=1) }}", "error", "unexpected keyword argument"]
["{{ 4 is divisibleby(num=2) }} {{ 1 is in(seq=[1]) }} {{ 'a b'.split(sep=' ', maxsplit=1) }} {{ 'a\\tb'.expandtabs(tabsize=2) }}", "text", "True True ['a', 'b'] a b"]
["{{ (5).bit_count() }} {{ (1.5).as_integer_ratio() }} {{ (0.1).hex() }} {{ (2.5).conjugate() }} {{ true.real }} {{ [1, 2, 1].index(1, 1) }} {{ dict.fromkeys('ab', 0) }}", "text", "2 (3, 2) 0x1.999999999999ap-4 2.5 1 2 {'a': 0, 'b': 0}"]
["{{ '%5.2f|%-4s|%+d|%#x|%#o|%05d|%.3d|%c|%a' % (1.5, 'a', 3, 255, 8, -42, 5, 'x', '\u00e9') }} {{ '%.5s|%%|%e|%G' % ('abcdefg', 12345.678, 1e-10) }}", "text", " 1.50|a   |+3|0xff|0o10|-0042|005|x|'\\xe9' abcde|%|1.234568e+04|1E-10"]
["{{ '{:010,}|{:_x}|{:#b}|{:e}|{:.2%}|{:c}|{:+}|{: }|{:=+8}|{:,.1f}|{:.3}|{:g}'.format(1234567, 1048576, 5, 12345.678, 0.256, 65, 3, 4, 5, 98765.43, 2.0, 1e20) }}", "text", "01,234,567|10_0000|0b101|1.234568e+04|25.60%|A|+3| 4|+      5|98,765.4|2.0|1e+20"]
["{{ '{:5}|{:<5}|{:d}'.format(true, true, true) }} {{ '{0[a][0].real} {!a}'.format({'a': [5]}, '\u00e9') if false else '{0[a][0].real}'.format({'a': [5]}) }} {{ '{:{w}.{p}f}'.format(3.14159, w=8, p=2) }}", "text", "    1|1    |1 5     3.14"]
["{{ '{} {0}'.format(1) }}", "error", "cannot switch from"]
["{{ 'x'|format(1, a=2) }}", "error", "can't handle positional and keyword arguments at the same time"]
["{{ 10**22 / 3 }} {{ (10**20 + 1) / 10**5 }} {{ 2**100 / 3**50 }} {{ (2**64 + 1) / 2 }} {{ 1 / 3 }} {{ 5|round(none) }} {{ 2.5|round(none) }} {{ 1e300|round(2, 'ceil') }} {{ 12345|round(-2, 'floor') }}", "text", "3.3333333333333335e+21 1000000000000000.0 1765780.963259017 9.223372036854776e+18 0.3333333333333333 5 2 1e+300 12300.0"]
["{{ {'b': 1, 'a': ['x' * 40, 'y' * 40]}|pprint }} {{ ('word ' * 30)|pprint }}", "text", "{'a': ['xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',\n       'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy'],\n 'b': 1} ('word word word word word word word word word word word word word word word '\n 'word word word word word word word word word word word word word word word ')"]
["{{ 'see www.example.com (https://a.org/x?y=(z)) or me@a.com, mailto:b@c.de.'|urlize(10, true, '_top') }}", "text", "see <a href=\"https://www.example.com\" rel=\"nofollow noopener\" target=\"_top\">www.exampl...</a> (<a href=\"https://a.org/x?y=(z)\" rel=\"nofollow noopener\" target=\"_top\">https://a....</a>) or <a href=\"mailto:me@a.com\">me@a.com</a>, <a href=\"mailto:b@c.de\">b@c.de</a>."]
["{{ 'the well-known -- thing is over-complicated'|wordwrap(10) }}|{{ 'aaaaaaaaaaaaaaaaa b'|wordwrap(5, false) }}|{{ 'a-b-c'|wordwrap(3, true, none, false) }}", "text", "the well-\nknown --\nthing is\nover-compl\nicated|aaaaaaaaaaaaaaaaa\nb|a-b\n-c"]
["{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{% set j = joiner('|') %}{{ j() }}{{ j() }}", "text", "ababNone|"]
["{{ cycler(1, x=2) }}", "error", "Cycler.__init__() got an unexpected keyword argument 'x'"]
["{{ '\"x\"'|tojson(indent=99) }} {{ [1, {'a': 2}]|tojson(separators=(';', '=')) }} {{ {'b': 1, 'a': 2}|tojson(sort_keys=true, indent='>') }}", "text", "\"\\\"x\\\"\" [1;{\"a\"=2}] {\n>\"a\": 2,\n>\"b\": 1\n}"]
["{{ d.keys() == {'a': 1, 'n': 2, 'b': 3}.keys() }} {{ d.keys() == ['b', 'a', 'n'] }} {{ 'b' in d.keys() }} {{ ('b', 1) in d.items() }}", "text", "True False True True"]
["{{ [1] in d.keys() }}", "error", "unhashable type: 'list'"]
`;

type Program = [template: string, kind: "text" | "error", wanted: string];

const programs = PROGRAMS.trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Program);
const those = (kind: Program[1]): Program[] => programs.filter((program) => program[1] === kind);

describe("as Jinja2", () => {
  test.each(those("text"))("%s", (template, _kind, wanted) => {
    expect(renderChatTemplate(template, VARIABLES).text).toBe(wanted);
  });

  test.each(those("error"))("%s", (template, _kind, wanted) => {
    const render = (): unknown => renderChatTemplate(template, VARIABLES);
    expect(render).toThrow(TemplateError);
    expect(render).toThrow(wanted);
  });
});

test("a number that must print as a float enters as Float", () => {
  const numbers = { a: 2, b: new Float(2), c: 1e16, d: new Float(1e16), e: 1e-7, f: new Float(-0) };
  const template = "{{ a }} {{ b }} {{ c }} {{ d }} {{ e }} {{ f }} {{ b | tojson }} {{ a == b }}";
  expect(renderChatTemplate(template, numbers).text).toBe(
    "2 2.0 10000000000000000 1e+16 1e-07 -0.0 2.0 True",
  );
});

test("strftime_now gives today", () => {
  expect(renderChatTemplate("{{ strftime_now('%Y') }}", {}).text).toBe(
    String(new Date().getFullYear()),
  );
  expect(renderChatTemplate("{{ strftime_now('%d %b %Y %H:%M %%') }}", {}).text).toMatch(
    /^\d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d %$/,
  );
});

test("generation ranges are UTF-16 offsets of the text", () => {
  const { text, generation } = renderChatTemplate(
    "\u{1F600}{% generation %}a\u{1F600}{% endgeneration %}b{% generation %}c{% endgeneration %}",
    {},
  );
  expect(generation.map(([start, end]) => text.slice(start, end))).toEqual(["a\u{1F600}", "c"]);
  expect(generation).toEqual([
    [2, 5],
    [6, 7],
  ]);
});
