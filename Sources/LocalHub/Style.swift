/// The pages' style sheet: system fonts, light and dark by the reader's setting, one column on phones.
enum Style {
  static let sheet = """
    :root{color-scheme:light dark;--page:#f4f5f7;--card:#fff;--text:#1c2026;--quiet:#5a6472;--line:#dfe3e8;--accent:#0b5cad;\
    --soft:#e6f0fb}
    @media(prefers-color-scheme:dark){:root{--page:#14171b;--card:#1d2127;--text:#e7eaee;--quiet:#9aa5b1;--line:#30363e;\
    --accent:#78b4f5;--soft:#1f3147}}
    *{box-sizing:border-box}
    body{margin:0;background:var(--page);color:var(--text);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
    header{background:var(--card);border-bottom:1px solid var(--line)}
    nav,main{max-width:56rem;margin:0 auto;padding:0 1rem}
    nav{display:flex;gap:1.25rem;align-items:center;min-height:3.25rem}
    .brand{font-weight:700;margin-right:auto}
    a{color:var(--accent);text-decoration:none}
    a:hover{text-decoration:underline}
    a:focus-visible,button:focus-visible,textarea:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
    nav a{color:var(--quiet);padding:.9rem 0;border-bottom:2px solid transparent}
    nav a[aria-current]{color:var(--text);border-color:var(--accent)}
    main{padding-top:1.25rem;padding-bottom:4rem}
    h1{font-size:1.5rem;line-height:1.25;margin:.25rem 0 1rem;overflow-wrap:anywhere}
    h2{font-size:1rem;color:var(--quiet);margin:1.75rem 0 .75rem}
    h1.quiet{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
    .card{background:var(--card);border:1px solid var(--line);border-radius:.75rem;margin:0 0 .75rem}
    article.card{padding:.9rem 1.1rem 1rem}
    .text{white-space:pre-wrap;overflow-wrap:anywhere}
    .meta{display:flex;flex-wrap:wrap;gap:.15rem .6rem;align-items:center;margin:0 0 .5rem;color:var(--quiet);font-size:.875rem}
    .meta b{color:var(--text);font-size:.95rem}
    .tag{background:var(--soft);color:var(--accent);border-radius:1rem;padding:0 .55rem;font-size:.75rem;line-height:1.5rem}
    .avatar{width:1.75rem;height:1.75rem;border-radius:50%;display:grid;place-items:center;color:#fff;font-weight:600;\
    font-size:.85rem}
    .c0{background:#0b5cad}.c1{background:#7a3fb0}.c2{background:#0f766e}.c3{background:#b4451f}.c4{background:#8a5a00}\
    .c5{background:#b02a5b}
    .mention{background:var(--soft);border-radius:.3rem;padding:0 .25rem}
    .threads{list-style:none;padding:0;margin:0}
    .thread{display:block;padding:.85rem 1.1rem;color:inherit}
    .thread:hover{text-decoration:none}
    .thread:hover strong{color:var(--accent)}
    .thread strong{display:block;margin-bottom:.4rem;overflow-wrap:anywhere}
    .thread .meta{margin:0}
    .count{font-weight:600}
    .back{margin:0 0 .5rem;font-size:.9rem}
    .empty{color:var(--quiet)}
    .compose{padding:.9rem 1.1rem 1.1rem;display:grid;gap:.5rem;margin-bottom:1.25rem}
    .compose label{font-weight:600;font-size:.9rem}
    textarea{width:100%;font:inherit;color:inherit;background:var(--page);border:1px solid var(--line);border-radius:.5rem;\
    padding:.6rem .75rem;resize:vertical}
    textarea::placeholder{color:var(--quiet)}
    button{justify-self:end;font:inherit;font-weight:600;color:#fff;background:#0b5cad;border:0;border-radius:.5rem;\
    padding:.5rem 1.25rem;cursor:pointer}
    button:hover{background:#0a4f95}
    table{width:100%;border-collapse:separate;border-spacing:0;font-size:.925rem}
    th,td{padding:.65rem .8rem;text-align:left;border-bottom:1px solid var(--line)}
    tbody tr:last-child>*{border-bottom:0}
    thead th{color:var(--quiet);font-size:.8rem;font-weight:600}
    .number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
    th[scope],td time{white-space:nowrap}
    th small{display:block;color:var(--quiet);font-weight:400}
    @media(max-width:44rem){thead{display:none}table,tbody,tr,th,td{display:block}
    tr{padding:.75rem 1.1rem;border-bottom:1px solid var(--line)}tbody tr:last-child{border:0}
    th,td{border:0;padding:.1rem 0}td{display:flex;justify-content:space-between;text-align:right}
    td::before{content:attr(data-label);color:var(--quiet)}th[scope]{margin-bottom:.35rem}}
    """
}
