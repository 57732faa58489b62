update water_sys.setting set value = '1.4.0' where name = 'model_version';
