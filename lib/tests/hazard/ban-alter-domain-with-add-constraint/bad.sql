alter domain s.code add constraint code_check check (value <> '');
