// The site: English at the root, Korean under /ko/, the API reference (made by TypeDoc) shared by both. A dead link fails the build.

import { defineConfig, type DefaultTheme } from "vitepress";

type Texts = {
  readonly prefix: string;
  readonly sections: Readonly<Record<"start" | "guides" | "reference", string>>;
  readonly pages: Readonly<Record<Page, string>>;
};
type Page = (typeof START)[number] | (typeof GUIDES)[number];

const START = ["start", "mistral"] as const;
const GUIDES = [
  "models",
  "quantisation",
  "chat",
  "streaming",
  "many-calls",
  "heads",
  "command",
  "speed",
  "machine-code",
  "bundlers",
  "runtimes",
  "troubleshooting",
] as const;

const english: Texts = {
  prefix: "",
  sections: { start: "Start", guides: "Guides", reference: "Reference" },
  pages: {
    start: "Install and first program",
    mistral: "The Mistral page",
    models: "Models and memory",
    quantisation: "Quantisation",
    chat: "Chat and templates",
    streaming: "Streaming and stopping",
    "many-calls": "Many calls at once",
    heads: "Heads and pipelines",
    command: "The command",
    speed: "Speed",
    "machine-code": "Machine code",
    bundlers: "Bundlers",
    runtimes: "Node, Bun and Deno",
    troubleshooting: "Troubleshooting",
  },
};

const korean: Texts = {
  prefix: "/ko",
  sections: { start: "시작하기", guides: "가이드", reference: "레퍼런스" },
  pages: {
    start: "설치와 첫 프로그램",
    mistral: "Mistral 문서 따라 하기",
    models: "모델과 메모리",
    quantisation: "양자화",
    chat: "대화와 템플릿",
    streaming: "스트리밍과 중지",
    "many-calls": "동시 호출",
    heads: "헤드와 파이프라인",
    command: "명령줄 도구",
    speed: "속도",
    "machine-code": "기계어",
    bundlers: "번들러",
    runtimes: "Node, Bun, Deno",
    troubleshooting: "문제 해결",
  },
};

const koreanSearch: DefaultTheme.LocalSearchOptions["translations"] = {
  button: { buttonText: "검색", buttonAriaLabel: "검색" },
  modal: {
    displayDetails: "상세 목록 표시",
    resetButtonTitle: "검색어 지우기",
    backButtonTitle: "검색 닫기",
    noResultsText: "검색 결과 없음:",
    footer: { selectText: "선택", navigateText: "이동", closeText: "닫기" },
  },
};

/** Menu and sidebar in one language. */
function themeOf({ prefix, sections, pages }: Texts): DefaultTheme.Config {
  const items = (names: readonly Page[]): DefaultTheme.SidebarItem[] =>
    names.map((name) => ({ text: pages[name], link: `${prefix}/guide/${name}` }));
  return {
    nav: [
      { text: sections.start, link: `${prefix}/guide/start` },
      { text: sections.guides, link: `${prefix}/guide/models` },
      { text: "API", link: "/reference/api/README" },
    ],
    sidebar: [
      { text: sections.start, items: items(START) },
      { text: sections.guides, items: items(GUIDES) },
      {
        text: sections.reference,
        items: [
          { text: "API", link: "/reference/api/README" },
          { text: "Transformers ↔ mistral.ts", link: "/reference/surface" },
        ],
      },
    ],
    outline: [2, 3],
  };
}

export default defineConfig({
  title: "mistral.ts",
  description: "The Mistral page of Hugging Face Transformers, as TypeScript software",
  base: process.env.DOCS_BASE ?? "/",
  cleanUrls: true,
  // Pictures follow the system's colour scheme, so pages do too.
  appearance: "force-auto",
  srcExclude: ["node_modules/**"],
  // Korean lines break between words, as they do in print; browsers break them inside words unless told.
  head: [["style", {}, ":lang(ko) { word-break: keep-all; }"]],
  themeConfig: {
    search: { provider: "local", options: { locales: { ko: { translations: koreanSearch } } } },
  },
  locales: {
    root: { label: "English", lang: "en", themeConfig: themeOf(english) },
    ko: {
      label: "한국어",
      lang: "ko",
      description: "Hugging Face Transformers의 Mistral 문서를 구현한 TypeScript 소프트웨어",
      themeConfig: {
        ...themeOf(korean),
        outline: { level: [2, 3], label: "이 페이지에서" },
        docFooter: { prev: "이전", next: "다음" },
        sidebarMenuLabel: "메뉴",
        returnToTopLabel: "맨 위로",
        langMenuLabel: "언어 변경",
        skipToContentLabel: "본문으로 건너뛰기",
      },
    },
  },
});
