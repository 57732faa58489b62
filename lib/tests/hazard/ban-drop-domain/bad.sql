drop domain s.code cascade;
