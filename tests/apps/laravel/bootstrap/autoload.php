<?php

// Composer's vendor/autoload.php in an ordinary application; Debian's packages stand on PHP's include_path.
require 'Illuminate/autoload.php';

spl_autoload_register(function (string $class): void {
    if (str_starts_with($class, 'App\\')) {
        require dirname(__DIR__).'/app/'.str_replace('\\', '/', substr($class, 4)).'.php';
    }
});

if (getenv('TELL_FLEETD')) {
    require getenv('TELL_FLEETD');
}
