create domain s.other as text;
drop domain s.other;
