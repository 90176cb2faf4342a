// Before anything is drawn: the theme that was chosen, or the system's. A classic script, since
// modules run only after the first drawing.
'use strict';
(() => {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const apply = () => {
    let theme = 'system';
    try {
      theme = JSON.parse(localStorage.getItem('inkstone.theme')) || 'system';
    } catch {
      // Storage is forbidden, or holds something else.
    }
    if (window.inkstone_theme) theme = window.inkstone_theme;
    const is_dark = theme === 'dark' || (theme !== 'light' && dark.matches);
    document.documentElement.dataset.theme = is_dark ? 'dark' : 'light';
  };
  apply();
  dark.addEventListener('change', apply);
  addEventListener('inkstone-theme', apply);
})();
