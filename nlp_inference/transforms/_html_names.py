"""Names of the elements and attributes of HTML, SVG and MathML, which distinguish tags from text in angle brackets.

Sources: https://html.spec.whatwg.org/multipage/indices.html, https://html.spec.whatwg.org/multipage/obsolete.html,
https://www.w3.org/TR/SVG2/eltindex.html, https://w3c.github.io/mathml-core/
"""

_BLOCK_NAMES = """
    address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset figcaption
    figure footer form h1 h2 h3 h4 h5 h6 head header hgroup hr html legend li main menu nav ol optgroup option p pre
    section select summary table tbody td textarea tfoot th thead title tr ul
"""
_HTML_NAMES = """
    a abbr acronym applet area audio b base basefont bdi bdo bgsound big blink button canvas cite code col colgroup
    command content data datalist del dfn em embed font frame frameset i iframe image img input ins isindex kbd
    keygen label link listing map mark marquee math menuitem meta meter multicol nextid nobr noembed noframes
    noscript o:p object output param picture plaintext portal progress q rb rbc rp rt rtc ruby s samp script search
    shadow slot small source spacer span strike strong style sub sup svg template time track tt u var video wbr xml
    xmp
"""
_SVG_NAMES = """
    a altglyph altglyphdef altglyphitem animate animatecolor animatemotion animatetransform circle clippath
    color-profile cursor defs desc discard ellipse feblend fecolormatrix fecomponenttransfer fecomposite
    feconvolvematrix fediffuselighting fedisplacementmap fedistantlight fedropshadow feflood fefunca fefuncb fefuncg
    fefuncr fegaussianblur feimage femerge femergenode femorphology feoffset fepointlight fespecularlighting
    fespotlight fetile feturbulence filter font font-face font-face-format font-face-name font-face-src
    font-face-uri foreignobject g glyph glyphref hatch hatchpath hkern image line lineargradient marker mask mesh
    meshgradient meshpatch meshrow metadata missing-glyph mpath path pattern polygon polyline radialgradient rect
    script set solidcolor stop style svg switch symbol text textpath title tref tspan unknown use view vkern
"""
_MATHML_NAMES = """
    annotation annotation-xml maction maligngroup malignmark math menclose merror mfenced mfrac mglyph mi mlabeledtr
    mlongdiv mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow ms mscarries mscarry msgroup msline
    mspace msqrt msrow mstack mstyle msub msubsup msup mtable mtd mtext mtr munder munderover none semantics
"""
_BREAKOUT_NAMES = """
    b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta
    nobr ol p pre ruby s small span strike strong sub sup table tt u ul var
"""
_ATTRIBUTE_NAMES = """
    abbr accept accept-charset accesskey action align alink allow allowfullscreen alpha alt archive aria-checked
    aria-controls aria-current aria-describedby aria-disabled aria-expanded aria-haspopup aria-hidden aria-label
    aria-labelledby aria-level aria-live aria-modal aria-pressed aria-selected aria-valuenow async autocapitalize
    autocomplete autocorrect autofocus autoplay axis background behavior bgcolor blocking border bordercolor
    bottommargin cellpadding cellspacing challenge char charoff charset checked cite class classid clear clip-path
    clip-rule closedby code codebase codetype color cols colspan command commandfor compact content contenteditable
    controls controlslist coords crossorigin cx cy d data datafld dataformatas datasrc datetime declare decoding
    default defer dir direction dirname disabled disablepictureinpicture display displaystyle download draggable dx
    dy enctype enterkeyhint event exportparts face fetchpriority fill fill-opacity fill-rule font-family font-size
    font-weight for form formaction formenctype formmethod formnovalidate formtarget frame frameborder
    gradienttransform gradientunits headers height hidden high href hreflang hspace http-equiv id imagesizes
    imagesrcset inert inputmode integrity is ismap itemid itemprop itemref itemscope itemtype keytype kind label
    lang language leftmargin link list loading longdesc loop low lowsrc marginheight marginwidth mathcolor mathsize
    mathvariant max maxlength media method methods min minlength multiple muted name nohref nomodule nonce noresize
    noshade novalidate nowrap object offset onabort onblur oncancel onchange onclick onclose oncontextmenu
    ondblclick ondrag ondragend ondragenter ondragleave ondragover ondragstart ondrop onerror onfocus oninput
    oninvalid onkeydown onkeypress onkeyup onload onmousedown onmouseenter onmouseleave onmousemove onmouseout
    onmouseover onmouseup onpaste onreset onresize onscroll onselect onsubmit onunload onwheel opacity open optimum
    part pattern ping placeholder playsinline points popover popovertarget popovertargetaction poster preload
    preserveaspectratio profile prompt property r readonly referrerpolicy rel required rev reversed rightmargin role
    rows rowspan rules rx ry sandbox scheme scope scrollamount scrolldelay scrolling selected shadowrootmode shape
    size sizes slot span spellcheck src srcdoc srclang srcset standby start step stroke stroke-linecap
    stroke-linejoin stroke-opacity stroke-width style summary tabindex target text text-anchor title topmargin
    transform translate truespeed type typemustmatch typeof unselectable urn usemap valign value valuetype version
    viewbox vlink vspace webkitallowfullscreen width wrap x x1 x2 xlink:href xlink:title xml:lang xml:space xmlns
    xmlns:xlink y y1 y2
"""

BLOCKS = frozenset(_BLOCK_NAMES.split())
"""Elements that begin and end a block or a line."""

HTML = BLOCKS | frozenset(_HTML_NAMES.split())

SVG = frozenset(_SVG_NAMES.split())
"""Elements inside `svg` only, because elsewhere `<path>` and `<text>` are more often text."""

MATHML = frozenset(_MATHML_NAMES.split())
"""Elements inside `math` only."""

BREAKOUT = frozenset(_BREAKOUT_NAMES.split())
"""HTML elements that end `svg` and `math`."""

INTEGRATION = {
    "svg": frozenset({"foreignobject", "desc", "title"}),
    "math": frozenset({"mi", "mo", "mn", "ms", "mtext", "annotation-xml"}),
}
"""Elements of `svg` and `math` that contain HTML."""

ATTRIBUTES = frozenset(_ATTRIBUTE_NAMES.split())
"""Attribute names without content; the name of any other attribute is reported when it is deleted."""
